// Threads, atomics, condition variables, exceptions across frames, thread-local storage, joins and detached exits.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

static thread_local int mine = 3;
static std::atomic<long> total{0};

static int thrower(int n) {
    if (n % 3 == 0) throw std::runtime_error("three");
    return n;
}

int main() {
    std::vector<std::thread> threads;
    std::mutex m;
    std::condition_variable cv;
    int turn = 0, caught = 0;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([&, i] {
            for (int k = 0; k < 20000; k++) total.fetch_add(1, std::memory_order_relaxed);
            mine += i;
            int bad = 0;
            for (int k = 0; k < 30; k++) try {
                    thrower(k);
                } catch (const std::exception&) { bad++; }
            std::unique_lock lock(m);
            cv.wait(lock, [&] { return turn == i; });
            turn++, caught += bad;
            std::printf("thread %d mine %d\n", i, mine);
            cv.notify_all();
        });
    for (auto& t : threads) t.join();
    std::printf("total %ld caught %d mine %d\n", total.load(), caught, mine);
    auto f = std::async(std::launch::async, [] { return thrower(6); });
    try {
        f.get();
    } catch (const std::exception& e) { std::printf("future: %s\n", e.what()); }
    for (int round = 0; round < 200; round++) std::thread([] { total++; }).join();
    std::printf("total %ld\n", total.load());
    std::thread([] {
        total = 5;
        std::printf("last\n");
        std::fflush(stdout);
        std::exit(9);
    }).join();
}
