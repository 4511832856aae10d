// C++: exceptions through frames with destructors, rethrowing, RTTI, containers, threads, futures, streams.
#include <algorithm>
#include <condition_variable>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

namespace {

int alive = 0;
struct Guard {
    Guard() { alive++; }
    ~Guard() { alive--; }
};
struct Base {
    virtual ~Base() = default;
};
struct Left : virtual Base {
    int l = 1;
};
struct Right : virtual Base {
    int r = 2;
};
struct Both : Left, Right {};

int fall(int depth) {
    Guard guard;
    if (depth == 0) throw std::out_of_range("the bottom");
    return fall(depth - 1) + 1;
}

void nested() {
    try {
        fall(50);
    } catch (const std::logic_error& error) { std::throw_with_nested(std::runtime_error("nested")); }
}

thread_local int own = 0;

} // namespace

int main() {
    for (int i = 0; i < 100; i++) try {
            fall(i);
        } catch (const std::exception& error) {
            if (i % 50 == 0) std::cout << i << ' ' << error.what() << ' ' << alive << '\n';
        }
    try {
        nested();
    } catch (const std::runtime_error& error) {
        std::cout << error.what();
        try {
            std::rethrow_if_nested(error);
        } catch (const std::out_of_range& inner) { std::cout << " from " << inner.what() << '\n'; }
    }
    try {
        throw 42;
    } catch (...) {
        try {
            std::rethrow_exception(std::current_exception());
        } catch (int value) { std::cout << value << '\n'; }
    }
    Both both;
    Base* base = &both;
    std::cout << dynamic_cast<Right*>(base)->r << dynamic_cast<Left*>(base)->l << (typeid(*base) == typeid(Both))
              << '\n';
    try {
        (void)std::vector<int>(3).at(7);
    } catch (const std::out_of_range&) { std::cout << "at\n"; }
    std::map<std::string, std::vector<int>> table;
    for (int i = 0; i < 1000; i++) table[std::to_string(i % 17)].push_back(i);
    std::ostringstream text;
    for (auto& [key, values] : table) text << key << ':' << std::accumulate(values.begin(), values.end(), 0) << ' ';
    std::cout << text.str() << '\n';

    std::mutex lock;
    std::condition_variable changed;
    int turn = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&, i] {
            std::unique_lock held(lock);
            changed.wait(held, [&] { return turn == i; });
            own = ++turn;
            changed.notify_all();
        });
    for (auto& thread : threads) thread.join();
    std::cout << turn << own << '\n';
    auto failing = std::async(std::launch::async, [] { return fall(3); });
    auto shared = std::make_shared<int>(5);
    try {
        failing.get();
    } catch (const std::out_of_range& error) {
        std::cout << "from a thread: " << error.what() << ' ' << shared.use_count() << alive << '\n';
    }
    std::cout << std::fixed << 3.25 << ' ' << std::hex << 255 << std::endl;
    throw std::runtime_error("nobody catches this");
}
