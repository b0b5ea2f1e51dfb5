//! Where data goes: stdout, or a file that appears under its name when it is complete.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::errors::SurfaceError;

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Where data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Stdout.
    Stdout,
    /// A file; one that is there already is replaced as a whole.
    File(PathBuf),
}

impl Destination {
    /// Returns the file, or stdout where none is given.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        file.map_or(Self::Stdout, Self::File)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// An open destination. Dropped without [`Output::commit`], it leaves no file behind.
pub(super) struct Output {
    sink: Sink,
    reader_gone: Arc<AtomicBool>,
    staged: Option<Staged>,
    name: String,
}

/// What is written to.
enum Sink {
    Stdout(BufWriter<Stdout>),
    File(BufWriter<File>),
}

/// A file under its temporary name, and the name it will bear.
struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Output {
    /// Opens a destination.
    ///
    /// # Errors
    /// `SurfaceError::Write` where the file cannot be made.
    pub(super) fn open(destination: &Destination) -> anyhow::Result<Self> {
        let name = destination.to_string();
        let (sink, staged) = match destination {
            Destination::Stdout => (Sink::Stdout(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())), None),
            Destination::File(path) => {
                let failed = |source| SurfaceError::Write { target: name.clone(), source };
                let (file, staged) = open_file(path).map_err(failed)?;
                (Sink::File(BufWriter::with_capacity(BUFFER_BYTES, file)), staged)
            }
        };
        Ok(Self { sink, reader_gone: Arc::new(AtomicBool::new(false)), staged, name })
    }

    /// Tells, as it happens, whether the reader of stdout has stopped reading.
    pub(super) fn reader_gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reader_gone)
    }

    /// Whether the destination is a file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.sink, Sink::File(_))
    }

    /// Writes what is still gathered, and gives a file its name.
    ///
    /// # Errors
    /// `SurfaceError::Write`; then there is no new file.
    pub(super) fn commit(mut self) -> anyhow::Result<()> {
        self.complete().map_err(|source| SurfaceError::Write { target: self.name.clone(), source })?;
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.flush()?;
        if let (Sink::File(writer), Some(staged)) = (&self.sink, &self.staged) {
            writer.get_ref().sync_all()?;
            fs::rename(&staged.temporary, &staged.target)?;
            self.staged = None;
        }
        Ok(())
    }

    /// A reader who has seen enough is no failure: from then on everything is written to nowhere.
    fn forgive<T>(&self, result: io::Result<T>, when_gone: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && !self.is_file() => {
                self.reader_gone.store(true, Ordering::Relaxed);
                Ok(when_gone)
            }
            result => result,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reader_gone.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let result = match &mut self.sink {
            Sink::Stdout(writer) => writer.write(bytes),
            Sink::File(writer) => writer.write(bytes),
        };
        self.forgive(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.reader_gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let result = match &mut self.sink {
            Sink::Stdout(writer) => writer.flush(),
            Sink::File(writer) => writer.flush(),
        };
        self.forgive(result, ())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            // Nothing more can be done about a temporary file that cannot be removed; the failure itself is reported.
            let _ = fs::remove_file(staged.temporary);
        }
    }
}

/// Opens a file beside its final name. What is no regular file (a device, a named pipe) is written in place.
fn open_file(path: &Path) -> io::Result<(File, Option<Staged>)> {
    let target = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder")),
        Ok(found) if !found.is_file() => return Ok((File::options().write(true).open(path)?, None)),
        // A link stays a link: the file that it leads to is replaced.
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => path.to_path_buf(),
    };
    let file_name = target.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it has no file name"))?;
    let temporary = target.with_file_name(format!(".{}.{}.partial", file_name.to_string_lossy(), std::process::id()));
    let file = File::create(&temporary)?;
    Ok((file, Some(Staged { temporary, target })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("answer.txt");
        let destination = Destination::File(path.clone());

        let mut abandoned = Output::open(&destination).expect("an output");
        abandoned.write_all(b"half").expect("a write");
        drop(abandoned);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);

        let mut output = Output::open(&destination).expect("an output");
        output.write_all(b"whole").expect("a write");
        assert!(!path.exists());
        output.commit().expect("a commit");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "whole");
    }

    #[test]
    fn a_folder_is_not_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Output::open(&Destination::File(folder.path().to_path_buf())).is_err());
    }
}
