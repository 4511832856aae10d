// Built and run in the middle of the build, as many crates do.
use std::{env, fs, path::Path};

fn main() {
    let squares: Vec<String> = (0..64).map(|n| (n * n).to_string()).collect();
    let out = env::var("OUT_DIR").unwrap();
    let text = format!("pub const SQUARES: [u64; 64] = [{}];\n", squares.join(", "));
    fs::write(Path::new(&out).join("squares.rs"), text).unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
