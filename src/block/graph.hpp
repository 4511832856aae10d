// The graph of nodes while it is in use: roots (uses from outside), drained sections, putting nodes in the place of others.
//
//   CO_TRY(auto root, Root::attach(node, "virtio0", perm::write, perm::consistent_read));
//   co_await root->write(offset, memory);
//
//   {
//       Drained quiet = co_await drain(*node);          // no request is in flight, none begins
//       CO_CHECK(replace_node(*node, other));           // who used node uses other
//   }
//
// Changes of the graph are made one at a time, under Context::graph.
#pragma once
#include "block/driver.hpp"

namespace mimic::block {

class Root;

// While it lives, nothing that a root or a node has under way, or below it, is held back by limits: somebody waits for that.
class [[nodiscard]] Hurried {
public:
    Hurried() = default;
    explicit Hurried(Root& root);
    explicit Hurried(Node& node) { add(node); }
    Hurried(Hurried&&) noexcept = default;
    Hurried& operator=(Hurried&& o) noexcept {
        std::swap(nodes_, o.nodes_);
        std::swap(members_, o.members_);
        return *this;
    }
    ~Hurried() { end(); }
    void add(Node& node); // and all below it
    void end();

private:
    std::vector<std::weak_ptr<Node>> nodes_;
    std::vector<std::weak_ptr<ThrottleMember>> members_;
};

// A use of a node by something that is no node. Its requests wait while a section above its node is drained.
class Root : public std::enable_shared_from_this<Root> {
public:
    // `stays`: replace_node() leaves it where it is (jobs, which mean the very node).
    static Result<std::shared_ptr<Root>> attach(NodePtr node, std::string role, u8 perms, u8 shared,
                                                bool stays = false);
    ~Root();

    Node& node() const { return edge_->node(); }
    const NodePtr& ptr() const { return edge_->ptr(); }
    Edge& edge() const { return *edge_; }
    u64 size() const { return node().size(); }

    Task<Result<void>> read(u64 offset, const IoVec& memory) {
        if (gates_ || throttle_) return late(false, memory.length(), &Node::read, offset, memory);
        return node().read(offset, memory);
    }
    Task<Result<void>> write(u64 offset, const IoVec& memory, u32 flags = 0) {
        if (gates_ || throttle_) return late(true, memory.length(), &Node::write, offset, memory, flags);
        return node().write(offset, memory, flags);
    }
    Task<Result<void>> write_zeroes(u64 offset, u64 length, u32 flags = 0) {
        if (gates_ || throttle_) return late(true, length, &Node::write_zeroes, offset, length, flags);
        return node().write_zeroes(offset, length, flags);
    }
    Task<Result<void>> write_compressed(u64 offset, const IoVec& memory) {
        if (gates_ || throttle_) return late(true, memory.length(), &Node::write_compressed, offset, memory);
        return node().write_compressed(offset, memory);
    }
    Task<Result<void>> discard(u64 offset, u64 length) {
        if (gates_ || throttle_) return late(true, length, &Node::discard, offset, length);
        return node().discard(offset, length);
    }
    Task<Result<void>> flush() {
        if (gates_) return late(true, 0, &Node::flush);
        return node().flush();
    }
    Task<Result<ChainExtent>> status(Node* base, u64 offset, u64 length);
    // Until no section holds it.
    Task<void> pass();

    // Holds reads and writes back as the group's limits have it; null: no more.
    void set_throttle(std::shared_ptr<ThrottleGroup> group);
    const ThrottleGroup* throttle() const { return throttle_ ? &throttle_->group() : nullptr; }
    // Waits until no request is held back or under way here; they hurry meanwhile. None may be begun.
    Task<void> rest();

    // The node's size has changed, or the node.
    std::function<void()> on_resize = [] {};

private:
    friend class Drained;
    friend class Edge;
    friend class Hurried;
    explicit Root(io::Loop& loop) : open_(loop) {}
    template <class F, class... A>
    Task<Result<void>> late(bool is_write, u64 bytes, F f, A... a) {
        auto self = shared_from_this();
        late_++;
        // Before the gate, so that who drains the node does not wait for limits.
        if (auto throttle = throttle_; throttle && bytes) co_await throttle->admit(is_write, bytes);
        co_await pass();
        Result<void> result = co_await (node().*f)(a...);
        if (--late_ == 0) open_.wake_all();
        co_return result;
    }
    std::unique_ptr<Edge> edge_;
    unsigned gates_ = 0;
    unsigned late_ = 0; // requests that had to wait, until they are done
    io::WaitList open_;
    std::shared_ptr<ThrottleMember> throttle_;
};

// Holds the requests of all roots above some nodes, from drain() to its end.
class [[nodiscard]] Drained {
public:
    Drained() = default;
    Drained(Drained&&) noexcept = default;
    Drained& operator=(Drained&& o) noexcept {
        std::swap(held_, o.held_);
        hurried_ = std::move(o.hurried_);
        return *this;
    }
    ~Drained() { end(); }
    void end();

private:
    friend Task<Drained> drain(std::vector<Node*> nodes);
    void hold(Node& node, std::vector<Node*>& seen);
    std::vector<std::weak_ptr<Root>> held_;
    Hurried hurried_;
};
Task<Drained> drain(std::vector<Node*> nodes);
inline Task<Drained> drain(Node& node) { return drain(std::vector<Node*>{&node}); }

// Who used `from` uses `to`, but for roots that stay and for `to` itself. In a drained section. Errors: permissions conflict,
// or an edge is frozen; then nothing has changed.
Result<void> replace_node(Node& from, const NodePtr& to);

// Chains. The node that a filter shows, or the node itself.
Node* skip_filters(Node* node);
// What shows through where `node` (or what it filters) has nothing; with the filters in front of it.
Node* backing_of(Node* node);
// The edge to it.
Edge* backing_edge(Node* node);
// Is `below` in the chain of `top`, or top itself? Filters count.
bool in_chain(Node* top, const Node* below);
// The layer of the chain right above `base` (filters in between skipped); null if base isn't below top.
Node* overlay_of(Node* top, Node* base);

// Lets `top` read what shows through. A commit leaves the links between its base and the layers above it open for writes to the
// base, once the base is the disk: what those layers show changes with it. Errors: somebody writes below.
Result<void> take_reading(Node& top);

// Keeps the links of a chain from `top` down to `base` as they are; others who want to change one get an error.
class [[nodiscard]] FrozenChain {
public:
    FrozenChain() = default;
    // Errors: a link is frozen already.
    static Result<FrozenChain> freeze(Node* top, Node* base, std::string_view why);
    FrozenChain(FrozenChain&& o) noexcept : edges_(std::move(o.edges_)) { o.edges_.clear(); }
    FrozenChain& operator=(FrozenChain&& o) noexcept {
        std::swap(edges_, o.edges_);
        return *this;
    }
    ~FrozenChain() { thaw(); }
    void thaw();

private:
    std::vector<Edge*> edges_;
};

} // namespace mimic::block
