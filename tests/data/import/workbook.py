"""Writes vips.xlsx: the rows of vips.csv as a spreadsheet program keeps them. Run it in this folder.

Ids of digits are numbers, as they are where somebody typed them; the second of them has more digits than a spreadsheet
keeps. The text that begins with `=` is a text. The sheet of rows is the second one: the first is hidden.
"""

import csv
import zipfile
from xml.sax.saxutils import escape

DATED = (1980, 1, 1, 0, 0, 0)
NUMBERS = {"10001": "10001", "1.23457E+17": "123456789012345678"}
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

strings: list[str] = []


def cell(column: int, row: int, text: str) -> str:
    place = f"{'ABC'[column]}{row}"
    if text in NUMBERS:
        return f'<c r="{place}"><v>{NUMBERS[text]}</v></c>'
    if text not in strings:
        strings.append(text)
    return f'<c r="{place}" t="s"><v>{strings.index(text)}</v></c>'


def sheet(rows: list[list[str]]) -> str:
    lines = [
        f'<row r="{number}">{"".join(cell(column, number, text) for column, text in enumerate(row) if text)}</row>'
        for number, row in enumerate(rows, start=1)
    ]
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def relationships(*targets: tuple[str, str]) -> str:
    entries = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{entries}</Relationships>'


with open("vips.csv", encoding="utf-8", newline="") as source:
    rows = list(csv.reader(source))
hidden, listed = sheet([["nothing to see here"]]), sheet(rows)
shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
parts = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{SHEET_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{SHEET_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHEET_TYPE}.sharedStrings+xml"/></Types>',
    "_rels/.rels": relationships(("officeDocument", "xl/workbook.xml")),
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
    '<sheet name="说明" sheetId="1" state="hidden" r:id="rId1"/>'
    '<sheet name="名单" sheetId="2" r:id="rId2"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": relationships(
        ("worksheet", "worksheets/sheet1.xml"),
        ("worksheet", "worksheets/sheet2.xml"),
        ("sharedStrings", "sharedStrings.xml"),
    ),
    "xl/worksheets/sheet1.xml": hidden,
    "xl/worksheets/sheet2.xml": listed,
    "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}" count="{len(strings)}" uniqueCount="{len(strings)}">{shared}</sst>',
}
declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
with zipfile.ZipFile("vips.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
    for name, content in parts.items():
        archive.writestr(zipfile.ZipInfo(name, DATED), declaration + content, zipfile.ZIP_DEFLATED)
