include!(concat!(env!("OUT_DIR"), "/squares.rs"));

fn main() {
    let texts: Vec<String> = (0..200u64).map(|seed| words::text(seed, 500)).collect();
    let counts = pool::map(4, texts, |text| words::count(&text));
    let mut all = std::collections::BTreeMap::new();
    for count in &counts {
        for (word, n) in count {
            *all.entry(word.clone()).or_insert(0u64) += n;
        }
    }
    for (word, n) in all.iter().take(5) {
        println!("{word} {n}");
    }
    println!("{} words, squares {}", all.len(), SQUARES.iter().sum::<u64>());
    let caught = std::panic::catch_unwind(|| words::nth(&[], 1)).is_err();
    println!("panic caught {caught}");
}
