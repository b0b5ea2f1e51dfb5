//! Rewrites of a condition that must not change its answer.

use tagmill_schemas::segment::{FollowNode, Node};

/// Every list of parts the other way round.
pub fn swapped(node: &Node) -> Node {
    match node {
        Node::All(parts) => Node::All(parts.iter().rev().map(swapped).collect()),
        Node::Any(parts) => Node::Any(parts.iter().rev().map(swapped).collect()),
        Node::Not(part) => Node::Not(Box::new(swapped(part))),
        Node::SameFollower(parts) => Node::SameFollower(parts.iter().rev().map(swapped_follow).collect()),
        leaf => leaf.clone(),
    }
}

fn swapped_follow(node: &FollowNode) -> FollowNode {
    match node {
        FollowNode::Any(parts) => FollowNode::Any(parts.iter().rev().map(swapped_follow).collect()),
        FollowNode::Not(part) => FollowNode::Not(Box::new(swapped_follow(part))),
        leaf => leaf.clone(),
    }
}

/// `not: {not: …}` around every node.
pub fn doubly_negated(node: &Node) -> Node {
    let inner = match node {
        Node::All(parts) => Node::All(parts.iter().map(doubly_negated).collect()),
        Node::Any(parts) => Node::Any(parts.iter().map(doubly_negated).collect()),
        Node::Not(part) => Node::Not(Box::new(doubly_negated(part))),
        Node::SameFollower(parts) => Node::SameFollower(parts.iter().map(doubly_negated_follow).collect()),
        leaf => leaf.clone(),
    };
    not(not(inner))
}

fn doubly_negated_follow(node: &FollowNode) -> FollowNode {
    FollowNode::Not(Box::new(FollowNode::Not(Box::new(node.clone()))))
}

/// `all` as the `not` of `any` of what does not hold, and the other way round.
pub fn de_morgan(node: &Node) -> Node {
    match node {
        Node::All(parts) => not(Node::Any(negated(parts))),
        Node::Any(parts) => not(Node::All(negated(parts))),
        Node::Not(part) => not(de_morgan(part)),
        leaf => leaf.clone(),
    }
}

fn negated(parts: &[Node]) -> Vec<Node> {
    parts.iter().map(|part| not(de_morgan(part))).collect()
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}
