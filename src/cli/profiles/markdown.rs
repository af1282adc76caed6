//! The table of profiles in README. Pure. `scripts/readme` puts it there.

use adapter_api::profile::Profile;

use super::facts::{Facts, Takes, told};

/// What README says of one thing that nobody has proven.
const SHORT: usize = 90;
/// And of how many of them.
const FEW: usize = 3;

/// The table, a line per profile.
pub fn markdown<'a>(profiles: impl Iterator<Item = &'a Profile>) -> String {
    let mut lines = vec![
        "| profile | device | reads (points) | commands | when the gateway dies | unverified |".to_owned(),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(profiles.map(|profile| row(&Facts::of(profile))));
    lines.join("\n")
}

fn row(facts: &Facts) -> String {
    let reads: Vec<_> = facts
        .reads
        .iter()
        .map(|(what, points)| points.map_or(what.clone(), |points| format!("{what} ({points})")))
        .collect();
    let takes: Vec<_> = facts.takes.iter().map(took).collect();
    let fates = told(&facts.fates());
    let or =
        |words: Vec<String>, none: &str| if words.is_empty() { none.to_owned() } else { words.join("; ") };
    let cells = [
        format!("`{}`", facts.name),
        facts.device.clone(),
        or(reads, "nothing"),
        or(takes, "read only"),
        or(fates, "nothing is set"),
        open(&facts.unverified),
    ];
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn took(takes: &Takes) -> String {
    if takes.modes.is_empty() {
        takes.what.clone()
    } else {
        format!("{} ({})", takes.what, takes.modes.join(", "))
    }
}

fn open(unverified: &[String]) -> String {
    let mut told: Vec<_> = unverified.iter().take(FEW).map(|what| short(what)).collect();
    if unverified.len() > FEW {
        told.push(format!("{} more", unverified.len() - FEW));
    }
    told.join("; ")
}

/// The first clause, and no more of it than fits.
fn short(what: &str) -> String {
    let ends = [": ", "; ", ". ", " ("].iter().filter_map(|end| what.find(end));
    let clause = &what[..ends.min().unwrap_or(what.len())];
    let mut told = String::new();
    for word in clause.split_whitespace() {
        if !told.is_empty() && told.chars().count() + word.chars().count() >= SHORT {
            return told + " …";
        }
        told = if told.is_empty() { word.to_owned() } else { format!("{told} {word}") };
    }
    told
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;

    const BEGIN: &str = "<!-- profiles: written by scripts/readme -->\n";
    const END: &str = "\n<!-- profiles: end -->";

    #[test]
    fn readme_carries_the_table_of_the_profiles_as_they_are() {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once(BEGIN).expect("README has the table's begin");
        let (table, _) = rest.split_once(END).expect("README has the table's end");
        assert!(
            table == markdown(builtin().values()),
            "README's table of profiles is not what the profiles say now: run `scripts/readme` and commit README.md"
        );
    }

    #[test]
    fn a_row_says_what_matters_and_breaks_no_table() {
        let facts = Facts {
            name: "it".into(),
            device: "M A|B".into(),
            reads: vec![("meter".into(), Some(3))],
            takes: Vec::new(),
            read_only: None,
            sources: Vec::new(),
            unverified: vec!["the sign (of B), as seen once".into(); 5],
        };
        assert_eq!(
            row(&facts),
            "| `it` | M A\\|B | meter (3) | read only | nothing is set | the sign; the sign; the sign; 2 more |"
        );
    }

    #[test]
    fn what_is_long_is_cut_between_words() {
        let long = short(&"word ".repeat(40));
        assert!(long.ends_with("word …") && long.chars().count() <= SHORT + 2, "{long}");
        assert_eq!(short("that it answers: nobody looked"), "that it answers");
    }
}
