#include "cpu/node_table.hpp"
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

namespace mimic::cpu {
namespace {

bool is_there(const NodeTable& table, const Node& node) {
    for (const Node* n = table.first(node.place); n; n = n->next.load(std::memory_order_acquire))
        if (n == &node) return true;
    return false;
}

std::vector<std::unique_ptr<Node>> nodes(u64 count, u64 from) {
    std::vector<std::unique_ptr<Node>> all;
    for (u64 n = 0; n < count; ++n) all.push_back(std::make_unique<Node>()), all.back()->place = from + 4 * n;
    return all;
}

// Far more than the first table has lists.
TEST(NodeTable, KeepsAllAsItGetsLarger) {
    NodeTable table;
    ASSERT_TRUE(bool(table));
    const auto all = nodes(50000, 0x400000);
    for (const auto& n : all) table.add(*n);
    for (const auto& n : all) EXPECT_TRUE(is_there(table, *n));
    for (u64 n = 0; n < all.size(); n += 2) table.remove(*all[n]);
    for (u64 n = 0; n < all.size(); ++n) EXPECT_EQ(is_there(table, *all[n]), n % 2 == 1);
}

// Without the lock: a look comes to an end whatever moves meanwhile, and what it sees is real.
TEST(NodeTable, IsReadWhileItGetsLarger) {
    NodeTable table;
    const auto first = nodes(2000, 0x1000), more = nodes(100000, 0x1000000);
    for (const auto& n : first) table.add(*n);
    std::atomic<bool> done{false};
    u64 wrong = 0;
    std::thread reader([&] {
        do
            for (const auto& n : first)
                for (const Node* at = table.first(n->place); at; at = at->next.load(std::memory_order_acquire))
                    wrong += at->place < 0x1000;
        while (!done);
    });
    for (const auto& n : more) table.add(*n);
    done = true;
    reader.join();
    EXPECT_EQ(wrong, 0u);
    for (const auto& n : first) EXPECT_TRUE(is_there(table, *n));
}

} // namespace
} // namespace mimic::cpu
