//! Threads that share a queue.
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

/// What `f` makes of each item, in the items' order.
pub fn map<T, R, F>(threads: usize, items: Vec<T>, f: F) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(T) -> R + Send + Sync + 'static,
{
    let queue = Arc::new(Mutex::new(items.into_iter().enumerate().collect::<Vec<_>>()));
    let f = Arc::new(f);
    let (send, receive) = mpsc::channel();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (queue, f, send) = (queue.clone(), f.clone(), send.clone());
            thread::spawn(move || loop {
                let next = queue.lock().unwrap().pop();
                match next {
                    Some((n, item)) => send.send((n, f(item))).unwrap(),
                    None => break,
                }
            })
        })
        .collect();
    drop(send);
    let mut results: Vec<(usize, R)> = receive.iter().collect();
    for worker in workers {
        worker.join().unwrap();
    }
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn keeps_the_order() {
        for threads in 1..9 {
            let squares = super::map(threads, (0..1000u64).collect(), |n| n * n);
            assert_eq!(squares, (0..1000u64).map(|n| n * n).collect::<Vec<_>>());
        }
    }
}
