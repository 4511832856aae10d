//! Texts of made-up words, and how often each occurs.
use std::collections::HashMap;

pub fn text(seed: u64, words: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for _ in 0..words {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for shift in [0, 8, 16] {
            text.push(char::from(b'a' + ((state >> shift) % 5) as u8));
        }
        text.push(' ');
    }
    text
}

pub fn count(text: &str) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_string()).or_insert(0) += 1;
    }
    counts
}

/// Panics when there is no such word.
pub fn nth(words: &[&str], n: usize) -> usize {
    words[n].len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words() {
        assert_eq!(count("a b a")["a"], 2);
        assert_eq!(count(&text(1, 100)).values().sum::<u64>(), 100);
    }

    #[test]
    #[should_panic]
    fn nth_of_none() {
        nth(&[], 0);
    }
}
