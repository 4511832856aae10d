#include "block/graph.hpp"
#include <algorithm>

namespace mimic::block {

extern const Driver commit_top_driver;

Result<std::shared_ptr<Root>> Root::attach(NodePtr node, std::string role, u8 perms, u8 shared, bool stays) {
    std::shared_ptr<Root> root(new Root(node->loop()));
    root->edge_ = TRY(Edge::attach(std::move(node), nullptr, std::move(role), perms, shared));
    root->edge_->root_ = root.get();
    root->edge_->stays_ = stays;
    return root;
}

Root::~Root() = default;

Hurried::Hurried(Root& root) {
    if (root.throttle_) {
        root.throttle_->hurry(true);
        members_.push_back(root.throttle_);
    }
    add(root.node());
}

void Hurried::add(Node& node) {
    node.hurry(true);
    nodes_.push_back(node.weak_from_this());
    for (auto& child : node.children()) add(child->node());
}

void Hurried::end() {
    for (auto& weak : members_)
        if (auto member = weak.lock()) member->hurry(false);
    for (auto& weak : nodes_)
        if (auto node = weak.lock()) node->hurry(false);
    members_.clear();
    nodes_.clear();
}

Task<void> Root::rest() {
    Hurried go(*this);
    while (late_) co_await open_.wait();
    co_await node().drain();
}

void Root::set_throttle(std::shared_ptr<ThrottleGroup> group) {
    if (throttle_) throttle_->hurry(true); // those that wait keep it until they have passed
    throttle_ = group ? std::make_shared<ThrottleMember>(std::move(group)) : nullptr;
}

Task<void> Root::pass() {
    while (gates_) co_await open_.wait();
}

Task<Result<ChainExtent>> Root::status(Node* base, u64 offset, u64 length) {
    co_await pass();
    co_return co_await status_above(node(), base, offset, length);
}

// ---- drained sections -------------------------------------------------------------------------------------------------

void Drained::hold(Node& node, std::vector<Node*>& seen) {
    if (std::ranges::find(seen, &node) != seen.end()) return;
    seen.push_back(&node);
    for (Edge* e : node.parents()) {
        if (e->parent()) hold(*e->parent(), seen);
        if (Root* r = e->root()) {
            r->gates_++;
            held_.push_back(r->weak_from_this());
        }
    }
}

void Drained::end() {
    hurried_.end();
    for (auto& weak : held_)
        if (auto root = weak.lock(); root && --root->gates_ == 0) root->open_.wake_all();
    held_.clear();
}

Task<Drained> drain(std::vector<Node*> nodes) {
    Drained section;
    std::vector<Node*> seen;
    std::vector<NodePtr> keep;
    for (Node* n : nodes) section.hold(*n, seen);
    for (Node* n : seen) keep.push_back(n->shared_from_this());
    for (Node* n : seen) section.hurried_.add(*n);
    // A request of the upper ones may have children below, so that all must be idle at the same time.
    for (bool idle = false; !idle;) {
        for (auto& n : keep) co_await n->drain();
        idle = std::ranges::none_of(keep, [](auto& n) { return n->in_flight() != 0; });
    }
    co_return section;
}

// ---- changing the graph -----------------------------------------------------------------------------------------------

Result<void> replace_node(Node& from, const NodePtr& to) {
    NodePtr old = from.shared_from_this();
    std::vector<Edge*> moved;
    for (Edge* e : from.parents()) {
        if (e->stays() || e->parent() == to.get()) continue;
        if (e->frozen())
            return Error::busy("Cannot change '{}' link from '{}' to '{}': {}", e->role(),
                               e->parent() ? e->parent()->options().node_name : e->role(), from.options().node_name,
                               e->why_frozen());
        moved.push_back(e);
    }
    for (size_t i = 0; i < moved.size(); i++) {
        Result<void> r = moved[i]->move_to(to);
        if (r) continue;
        while (i--) moved[i]->move_to(old).ignore(); // it was there before
        return r;
    }
    return {};
}

Node* skip_filters(Node* node) {
    while (node && node->driver().is_filter) node = node->file();
    return node;
}

Edge* backing_edge(Node* node) {
    node = skip_filters(node);
    return node ? node->child("backing") : nullptr;
}

Node* backing_of(Node* node) {
    Edge* e = backing_edge(node);
    return e ? &e->node() : nullptr;
}

bool in_chain(Node* top, const Node* below) {
    for (Node* n = top; n; n = n->driver().is_filter ? n->file() : n->backing())
        if (n == below) return true;
    return false;
}

Node* overlay_of(Node* top, Node* base) {
    base = skip_filters(base);
    for (Node* n = skip_filters(top); n;) {
        Node* next = skip_filters(backing_of(n));
        if (next == base) return n;
        n = next;
    }
    return nullptr;
}

Result<void> take_reading(Node& top) {
    struct Taken {
        Edge* edge;
        u8 perms, shared;
    };
    std::vector<Taken> taken;
    for (Node* n = &top; n;) {
        // While a commit works, what is seen through its filter stays right, and from the layer right below the filter.
        if (&n->driver() == &commit_top_driver) break;
        if (std::ranges::any_of(n->parents(), [](Edge* e) {
                return e->parent() && &e->parent()->driver() == &commit_top_driver && e->role() == "file";
            }))
            break;
        Edge* e = n->driver().is_filter ? n->child("file") : n->child("backing");
        if (!e) break;
        if (!(e->perms() & perm::consistent_read)) {
            Taken before{e, e->perms(), e->shared()};
            Result<void> r = e->change(perm::consistent_read, perm::consistent_read | perm::write_unchanged);
            if (!r) {
                for (auto& t : taken) t.edge->change(t.perms, t.shared).ignore(); // giving up always works
                return r;
            }
            taken.push_back(before);
        }
        n = &e->node();
    }
    return {};
}

Result<FrozenChain> FrozenChain::freeze(Node* top, Node* base, std::string_view why) {
    std::vector<Edge*> edges;
    for (Node* n = top; n && n != base;) {
        Edge* e = n->driver().is_filter ? n->child("file") : n->child("backing");
        if (!e) break;
        if (e->frozen())
            return Error::busy("Cannot freeze '{}' link to '{}': {}", e->role(), e->node().options().node_name,
                               e->why_frozen());
        edges.push_back(e);
        n = &e->node();
    }
    for (Edge* e : edges) e->freeze(why);
    FrozenChain chain;
    chain.edges_ = std::move(edges);
    return chain;
}

void FrozenChain::thaw() {
    for (Edge* e : edges_) e->thaw();
    edges_.clear();
}

} // namespace mimic::block
