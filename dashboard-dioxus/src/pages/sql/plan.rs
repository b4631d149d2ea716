//! A query plan, parsed from `EXPLAIN (FORMAT JSON)`.

use serde_json::Value;

use super::{execution::duration, wire::RawResult};
use crate::text;

/// Minimum factor by which an estimate must be wrong to be marked.
const MARKED_FACTOR: f64 = 10.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// The nodes, each before its children.
    pub(super) nodes: Vec<Node>,
    /// Whether the statement ran, so that times are known.
    pub(super) is_measured: bool,
    pub(super) execution_ms: Option<f64>,
    pub(super) planning_ms: Option<f64>,
    pub(super) settings: Vec<(String, String)>,
    /// Index of the node with the most time of its own, or the highest cost of its own.
    pub(super) slowest: usize,
    pub(super) advice: Option<Advice>,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Node {
    /// The characters that connect the node with its parent, such as `│  └ `.
    pub(super) branch: String,
    pub(super) depth: usize,
    /// The kind of node, for example `Seq Scan`.
    pub(super) kind: String,
    /// Table, index, keys and conditions of the node.
    pub(super) details: String,
    pub(super) table: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) condition: Option<String>,
    /// Returned rows per loop, on average. `None` without `ANALYZE`.
    pub(super) rows: Option<f64>,
    /// Estimated rows per loop.
    pub(super) estimated: f64,
    /// Rows that the filter removed, in all loops.
    pub(super) removed: f64,
    /// Time without the nodes below, in all loops.
    pub(super) own_ms: Option<f64>,
    /// Time with the nodes below, in all loops.
    pub(super) total_ms: Option<f64>,
    pub(super) cost: f64,
    pub(super) own_cost: f64,
    pub(super) loops: f64,
    /// Shared blocks: hits and reads.
    pub(super) buffers: Option<(u64, u64)>,
    /// Share of the total time or cost, 0 to 1.
    pub(super) share: f64,
}

/// A suggestion that may make the plan faster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Advice {
    pub(super) title: String,
    pub(super) text: String,
    /// Name of the table that is read completely.
    pub(super) table: String,
    pub(super) schema: Option<String>,
    pub(super) condition: String,
}

impl Node {
    /// Returns the factor by which the estimate is wrong, if it is at least [`MARKED_FACTOR`].
    pub(super) fn misestimate(&self) -> Option<f64> {
        let rows = self.rows?.max(1.0);
        let estimated = self.estimated.max(1.0);
        let factor = (rows / estimated).max(estimated / rows);
        (factor >= MARKED_FACTOR).then_some(factor)
    }
}

impl Plan {
    pub(super) fn read(raw: &RawResult) -> Option<Self> {
        let json = raw.rows.first()?.first()?.get();
        let mut value: Value = serde_json::from_str(json).ok()?;
        if let Some(text) = value.as_str() {
            value = serde_json::from_str(text).ok()?;
        }
        Self::of(&value)
    }

    fn of(value: &Value) -> Option<Self> {
        let explained = value.get(0).unwrap_or(value);
        let root = explained.get("Plan")?;
        let is_measured = root.get("Actual Total Time").is_some();
        let mut nodes = Vec::new();
        walk(root, 0, "", "", &mut nodes);
        let whole_ms = nodes.first().and_then(|node| node.total_ms).unwrap_or_default();
        let whole_cost = nodes.first().map(|node| node.cost).unwrap_or_default();
        for node in &mut nodes {
            node.share = match node.own_ms {
                Some(own) if whole_ms > 0.0 => own / whole_ms,
                None if whole_cost > 0.0 => node.own_cost / whole_cost,
                _ => 0.0,
            }
            .clamp(0.0, 1.0);
        }
        let slowest =
            (0..nodes.len()).max_by(|a, b| share(&nodes, *a).total_cmp(&share(&nodes, *b))).unwrap_or_default();
        let settings = explained.get("Settings").and_then(Value::as_object).map(|settings| {
            settings.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        });
        Some(Self {
            advice: nodes.get(slowest).and_then(advice),
            nodes,
            is_measured,
            execution_ms: explained.get("Execution Time").and_then(Value::as_f64),
            planning_ms: explained.get("Planning Time").and_then(Value::as_f64),
            settings: settings.unwrap_or_default(),
            slowest,
        })
    }

    /// Returns the plan as text, similar to the output of `EXPLAIN`.
    pub(super) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for node in &self.nodes {
            let indent =
                if node.depth == 0 { String::new() } else { format!("{}->  ", "      ".repeat(node.depth - 1) + "  ") };
            let mut line = format!("{indent}{} {}", node.kind, node.details).trim_end().to_owned();
            line.push_str(&format!("  (cost={:.2} rows={:.0}", node.cost, node.estimated));
            if let (Some(total), Some(rows)) = (node.total_ms, node.rows) {
                line.push_str(&format!(") (actual time={total:.3} rows={rows:.0} loops={:.0}", node.loops));
            }
            line.push(')');
            lines.push(line);
        }
        for (name, time) in [("Planning Time", self.planning_ms), ("Execution Time", self.execution_ms)] {
            if let Some(time) = time {
                lines.push(format!("{name}: {time:.3} ms"));
            }
        }
        lines.join("\n")
    }

    /// Returns the facts above the tree: name and value.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(time) = self.execution_ms {
            facts.push(("Execution", exact_duration(time)));
        }
        if let Some(time) = self.planning_ms {
            facts.push(("Planning", exact_duration(time)));
        }
        let root = self.nodes.first();
        if !self.is_measured
            && let Some(root) = root
        {
            facts.push(("Cost", format!("{:.2}", root.cost)));
            facts.push(("Estimated rows", text::number(root.estimated as i64)));
        }
        if self.nodes.len() > 1
            && let Some(node) = self.nodes.get(self.slowest)
        {
            let on_table = node.table.as_ref().map(|table| format!(" on {table}")).unwrap_or_default();
            let name = if self.is_measured { "Slowest" } else { "Most expensive" };
            facts.push((name, format!("{}{on_table}, {:.0} %", node.kind, node.share * 100.0)));
        }
        if let Some((hit, read)) = root.and_then(|root| root.buffers) {
            facts.push(("Buffers", format!("{} hit, {} read", text::number(hit as i64), text::number(read as i64))));
        }
        let settings: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        if !settings.is_empty() {
            facts.push(("Settings", settings.join(", ")));
        }
        facts
    }

    /// Returns whether the statement changes rows.
    pub(super) fn is_change(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.kind.as_str(), "Insert" | "Update" | "Delete" | "Merge"))
    }
}

/// Returns a duration in milliseconds as text, with two decimal places if it is below a second.
pub(super) fn exact_duration(milliseconds: f64) -> String {
    if milliseconds < 1000.0 { format!("{milliseconds:.2} ms") } else { duration(milliseconds) }
}

fn share(nodes: &[Node], index: usize) -> f64 {
    nodes.get(index).map_or(0.0, |node| node.share)
}

fn walk(value: &Value, depth: usize, lines: &str, branch: &str, nodes: &mut Vec<Node>) {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    let words = |name: &str| value.get(name).and_then(Value::as_str);
    let children: Vec<&Value> = value.get("Plans").and_then(Value::as_array).into_iter().flatten().collect();
    let loops = number("Actual Loops").unwrap_or(1.0);
    let total_of = |node: &Value| {
        let number = |name: &str| node.get(name).and_then(Value::as_f64);
        Some(number("Actual Total Time")? * number("Actual Loops").unwrap_or(1.0))
    };
    // The loops below `Gather` run in parallel, so their times together can exceed the time of `Gather`.
    let total_ms = total_of(value);
    let below: f64 = children.iter().filter_map(|child| total_of(child)).sum();
    let cost = number("Total Cost").unwrap_or_default();
    let cost_below: f64 = children.iter().filter_map(|child| child.get("Total Cost").and_then(Value::as_f64)).sum();
    let condition = ["Filter", "Recheck Cond", "Index Cond", "Join Filter"].into_iter().find_map(words);
    nodes.push(Node {
        branch: branch.to_owned(),
        depth,
        kind: kind(value),
        details: details_of(value),
        table: words("Relation Name").map(ToOwned::to_owned),
        schema: words("Schema").map(ToOwned::to_owned),
        condition: condition.map(ToOwned::to_owned),
        rows: number("Actual Rows"),
        estimated: number("Plan Rows").unwrap_or_default(),
        removed: number("Rows Removed by Filter").unwrap_or_default() * loops,
        own_ms: total_ms.map(|total| (total - below).max(0.0)),
        total_ms,
        cost,
        own_cost: (cost - cost_below).max(0.0),
        loops,
        buffers: number("Shared Hit Blocks")
            .map(|hit| (hit as u64, number("Shared Read Blocks").unwrap_or_default() as u64)),
        share: 0.0,
    });
    for (index, child) in children.iter().enumerate() {
        let is_last = index + 1 == children.len();
        let branch = format!("{lines}{}", if is_last { "└ " } else { "├ " });
        let lines = format!("{lines}{}", if is_last { "   " } else { "│  " });
        walk(child, depth + 1, &lines, &branch, nodes);
    }
}

fn kind(value: &Value) -> String {
    let words = |name: &str| value.get(name).and_then(Value::as_str);
    let kind = words("Node Type").unwrap_or("?");
    let kind = match (kind, words("Strategy"), words("Join Type")) {
        ("Aggregate", Some("Hashed"), _) => "HashAggregate".to_owned(),
        ("Aggregate", Some("Sorted"), _) => "GroupAggregate".to_owned(),
        ("Hash Join" | "Merge Join" | "Nested Loop", _, Some(join)) if join != "Inner" => format!("{kind} {join}"),
        ("ModifyTable", ..) => words("Operation").unwrap_or("ModifyTable").to_owned(),
        _ => kind.to_owned(),
    };
    let is_parallel = value.get("Parallel Aware").and_then(Value::as_bool) == Some(true);
    let kind = if is_parallel { format!("Parallel {kind}") } else { kind };
    match words("Subplan Name") {
        Some(name) => format!("{name}: {kind}"),
        None => kind,
    }
}

fn details_of(value: &Value) -> String {
    let words = |name: &str| value.get(name).and_then(Value::as_str);
    let list = |name: &str| {
        let keys = value.get(name)?.as_array()?;
        Some(keys.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
    };
    let mut parts = Vec::new();
    if let Some(table) = words("Relation Name") {
        let alias = words("Alias").filter(|alias| *alias != table);
        parts.push(alias.map_or_else(|| table.to_owned(), |alias| format!("{table} {alias}")));
    } else if let Some(name) = words("Function Name").or(words("CTE Name")) {
        parts.push(name.to_owned());
    }
    if let Some(index) = words("Index Name") {
        parts.push(format!("using {index}"));
    }
    if let Some(keys) = list("Sort Key").or(list("Group Key")) {
        parts.push(keys);
    }
    for name in ["Hash Cond", "Merge Cond", "Index Cond", "Recheck Cond", "Join Filter", "Filter", "One-Time Filter"] {
        if let Some(condition) = words(name) {
            parts.push(condition.to_owned());
        }
    }
    parts.join(" · ")
}

fn advice(node: &Node) -> Option<Advice> {
    let (table, condition, rows) = (node.table.as_ref()?, node.condition.as_ref()?, node.rows?);
    let found = rows * node.loops;
    let is_whole =
        node.kind.ends_with("Seq Scan") && node.removed >= 100.0 && node.removed >= found * 4.0 && node.share >= 0.3;
    if !is_whole {
        return None;
    }
    let title = format!(
        "{table} is read completely to find {} of {} rows.",
        text::number(found as i64),
        text::number((found + node.removed) as i64)
    );
    let mut text = format!("An index on the columns of {condition} may help.");
    if let Some(factor) = node.misestimate() {
        let direction = if node.estimated < rows { "low" } else { "high" };
        text.push_str(&format!(" The estimate is {factor:.0} times too {direction}. ANALYZE updates the statistics."));
    }
    Some(Advice { title, text, table: table.clone(), schema: node.schema.clone(), condition: condition.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> Plan {
        Plan::of(&json!([{
            "Plan": {
                "Node Type": "Sort", "Sort Key": ["late DESC"], "Total Cost": 110.0, "Plan Rows": 40, "Actual Rows": 42,
                "Actual Total Time": 12.0, "Actual Loops": 1, "Shared Hit Blocks": 1204, "Shared Read Blocks": 0,
                "Plans": [
                    {"Node Type": "Seq Scan", "Relation Name": "loans", "Alias": "l", "Total Cost": 90.0,
                     "Plan Rows": 24, "Actual Rows": 318, "Actual Total Time": 10.3, "Actual Loops": 1,
                     "Filter": "(returned_at IS NULL)",
                     "Rows Removed by Filter": 18084},
                    {"Node Type": "Index Scan", "Relation Name": "readers", "Alias": "readers",
                     "Index Name": "readers_pkey",
                     "Total Cost": 1.0, "Plan Rows": 1, "Actual Rows": 1, "Actual Total Time": 0.01,
                     "Actual Loops": 100},
                ]
            },
            "Planning Time": 0.42, "Execution Time": 12.1
        }]))
        .unwrap()
    }

    #[test]
    fn own_time_excludes_child_nodes() {
        let plan = example();
        let own: Vec<f64> = plan.nodes.iter().map(|node| (node.own_ms.unwrap() * 100.0).round() / 100.0).collect();
        assert_eq!(own, [0.7, 10.3, 1.0]);
        assert_eq!(plan.slowest, 1);
        let branches: Vec<&str> = plan.nodes.iter().map(|node| node.branch.as_str()).collect();
        assert_eq!(branches, ["", "├ ", "└ "]);
        assert!(!plan.is_change());
    }

    #[test]
    fn estimate_off_by_ten_times_is_marked() {
        let plan = example();
        let marks: Vec<Option<i64>> =
            plan.nodes.iter().map(|node| node.misestimate().map(|factor| factor as i64)).collect();
        assert_eq!(marks, [None, Some(13), None]);
    }

    #[test]
    fn full_scan_for_few_rows_gets_advice() {
        let advice = example().advice.unwrap();
        assert_eq!(advice.title, "loans is read completely to find 318 of 18\u{202f}402 rows.");
        assert!(advice.text.contains("13 times too low"), "{}", advice.text);
    }
}
