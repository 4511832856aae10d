// Where the entries of translated code are looked up: by threads that hold no lock, while one that holds it adds, removes or
// makes the table larger. Internal to the room.
#pragma once
#include "base/types.hpp"
#include "cpu/zeroes.hpp"
#include "ir/unit.hpp"
#include <atomic>
#include <deque>

namespace mimic::cpu {

struct Translation;

// An entry of the look-up table. Freed with its region.
struct Node {
    u64 pc = 0;
    u64 place = 0, second = 0;
    u32 mode = 0;
    ir::BlockId block = 0;
    bool whole = false; // of a unit that was made of a hot loop; or none can be made
    const u8* code = nullptr;
    Translation* translation = nullptr;
    Node* sibling = nullptr; // of the same translation
    std::atomic<Node*> next{nullptr};
    std::atomic<bool> valid{true};
};

// Nodes in lists by a hash of their places. The lists' links are the nodes' own: whoever looks while the table gets larger may miss
// what is there, but comes to an end, since a node only ever leads to those that were behind it or have been moved before it. Who
// finds nothing looks again with the lock before it believes that.
class NodeTable {
public:
    NodeTable() { enlarge(first_bits); }
    explicit operator bool() const { return now_.load(std::memory_order_relaxed) != nullptr; }
    // The first of a list in which all with this place are.
    Node* first(u64 place) const {
        return now_.load(std::memory_order_acquire)->list(place).load(std::memory_order_acquire);
    }

    // With the lock.
    void add(Node& n) {
        if (++count_ > now_.load(std::memory_order_relaxed)->lists()) enlarge(bits_ + step_bits);
        put(*now_.load(std::memory_order_relaxed), n);
    }
    void remove(Node& n) {
        std::atomic<Node*>* p = &now_.load(std::memory_order_relaxed)->list(n.place);
        while (Node* at = p->load(std::memory_order_relaxed)) {
            if (at == &n) {
                p->store(n.next.load(std::memory_order_relaxed), std::memory_order_release);
                --count_;
                return;
            }
            p = &at->next;
        }
    }

private:
    static constexpr u32 first_bits = 12, step_bits = 2, most_bits = 22;
    struct Table {
        explicit Table(u32 bits) : shift(64 - bits), heads(u64{1} << bits) {}
        u64 lists() const { return u64{1} << (64 - shift); }
        std::atomic<Node*>& list(u64 place) const { return heads[place * 0x9e3779b97f4a7c15 >> shift]; }
        u32 shift;
        Zeroes<std::atomic<Node*>> heads;
    };
    static void put(const Table& t, Node& n) {
        std::atomic<Node*>& head = t.list(n.place);
        n.next.store(head.load(std::memory_order_relaxed), std::memory_order_release);
        head.store(&n, std::memory_order_release);
    }
    // Former tables stay for who looks into one. Without memory for a larger one, lists get longer.
    void enlarge(u32 bits) {
        if (bits > most_bits) return;
        const Table* old = now_.load(std::memory_order_relaxed);
        Table& larger = tables_.emplace_back(bits);
        if (!larger.heads) return tables_.pop_back();
        for (u64 k = 0; old && k < old->lists(); ++k)
            for (Node *n = old->heads[k].load(std::memory_order_relaxed), *next; n; n = next) {
                next = n->next.load(std::memory_order_relaxed);
                put(larger, *n);
            }
        bits_ = bits;
        now_.store(&larger, std::memory_order_release);
    }

    std::deque<Table> tables_;
    std::atomic<const Table*> now_{nullptr};
    u64 count_ = 0;
    u32 bits_ = 0;
};

} // namespace mimic::cpu
