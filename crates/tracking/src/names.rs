//! Names for runs and models that were given none: adjective, noun and a number, as MLflow's are built.

const ADJECTIVES: &[&str] = &[
    "amber", "brisk", "calm", "candid", "cedar", "clear", "coastal", "copper", "crisp", "dapper", "dusky", "eager", "early", "fabled",
    "fleet", "frosty", "gentle", "gilded", "golden", "hardy", "hazel", "humble", "ivory", "jaunty", "jolly", "keen", "lively", "lucid",
    "lunar", "maple", "mellow", "merry", "misty", "mossy", "nimble", "noble", "olive", "patient", "placid", "plucky", "polar", "quick",
    "quiet", "rapid", "rustic", "sable", "serene", "silver", "sleek", "solar", "steady", "sunny", "swift", "tidal", "tidy", "upbeat",
    "velvet", "vivid", "wandering", "warm", "whimsical", "wise", "witty", "zesty",
];

const NOUNS: &[&str] = &[
    "albatross", "alder", "antler", "badger", "beacon", "birch", "bison", "brook", "canyon", "cedar", "comet", "condor", "coral", "crane",
    "delta", "dune", "ember", "falcon", "fern", "fjord", "fox", "gale", "glacier", "grove", "harbor", "hawk", "heron", "ibis", "island",
    "jay", "kestrel", "lagoon", "lark", "lynx", "marten", "meadow", "mesa", "moose", "nebula", "newt", "ocelot", "orchid", "otter", "owl",
    "pebble", "pine", "plover", "puffin", "quail", "raven", "reef", "ridge", "robin", "sparrow", "spruce", "summit", "swan", "tern",
    "thicket", "tide", "valley", "walrus", "willow", "wren",
];

/// A name such as `quiet-heron-412`.
pub(crate) fn random() -> String {
    let bits = uuid::Uuid::new_v4().as_u128();
    let pick = |words: &[&'static str], bits: u128| words[usize::try_from(bits % words.len() as u128).unwrap_or(0)];
    format!("{}-{}-{}", pick(ADJECTIVES, bits), pick(NOUNS, bits >> 16), (bits >> 32) % 1000)
}
