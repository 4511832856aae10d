// Edges between nodes and the permissions on them.
#include "block/driver.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

std::string names_of(u8 perms) {
    static constexpr std::string_view names[] = {"consistent read", "write", "write unchanged", "resize"};
    std::string out;
    for (unsigned i = 0; i < std::size(names); i++)
        if (perms & (1u << i)) out += fmt::format("{}'{}'", out.empty() ? "" : ", ", names[i]);
    return out;
}

std::string user(const Node* parent, const std::string& role) {
    return parent ? fmt::format("node '{}' (as its '{}' child)", parent->options().node_name, role)
                  : fmt::format("'{}'", role);
}

// Do the uses of the node by others leave room for this one?
Result<void> check_conflict(const Node& node, const Edge* self, const Node* parent, const std::string& role, u8 perms,
                            u8 shared) {
    for (Edge* other : node.parents()) {
        if (other == self) continue;
        u8 wanted = perms & ~other->shared(), refused = other->perms() & ~shared;
        if (!wanted && !refused) continue;
        std::string one = user(parent, role), two = user(other->parent(), other->role());
        return Error::busy("Permission conflict on node '{}' ('{}'): permissions {} are both required by {} and "
                           "unshared by {}",
                           node.options().node_name, node.filename(), names_of(wanted ? wanted : refused),
                           wanted ? one : two, wanted ? two : one);
    }
    return {};
}

} // namespace

Result<std::unique_ptr<Edge>> Edge::attach(NodePtr node, Node* parent, std::string role, u8 perms, u8 shared) {
    TRY(check_conflict(*node, nullptr, parent, role, perms, shared));
    TRY(node->permissions_changed(node->used_perms() | perms, node->shared_perms() & shared));
    std::unique_ptr<Edge> edge(new Edge);
    edge->parent_ = parent;
    edge->role_ = std::move(role);
    edge->perms_ = perms;
    edge->shared_ = shared;
    node->parents_.push_back(edge.get());
    edge->node_ = std::move(node);
    return edge;
}

Edge::~Edge() {
    if (!node_) return;
    std::erase(node_->parents_, this);
    // Giving up rights cannot fail in a way that matters: at worst a lock stays until the file is closed.
    node_->permissions_changed(node_->used_perms(), node_->shared_perms()).ignore();
}

Result<void> Edge::change(u8 perms, u8 shared) {
    TRY(check_conflict(*node_, this, parent_, role_, perms, shared));
    std::swap(perms_, perms);
    std::swap(shared_, shared);
    auto r = node_->permissions_changed(node_->used_perms(), node_->shared_perms());
    if (!r) {
        perms_ = perms;
        shared_ = shared;
    }
    return r;
}

Result<void> Edge::move_to(NodePtr to) {
    if (to == node_) return {};
    TRY(check_conflict(*to, this, parent_, role_, perms_, shared_));
    TRY(to->permissions_changed(to->used_perms() | perms_, to->shared_perms() & shared_));
    NodePtr from = std::exchange(node_, to);
    std::erase(from->parents_, this);
    to->parents_.push_back(this);
    from->permissions_changed(from->used_perms(), from->shared_perms()).ignore(); // as in the destructor
    return {};
}

u8 Node::used_perms() const {
    u8 used = 0;
    for (Edge* e : parents_) used |= e->perms();
    return used;
}

u8 Node::shared_perms() const {
    u8 shared = perm::all;
    for (Edge* e : parents_) shared &= e->shared();
    return shared;
}

Edge* Node::child(std::string_view role) const {
    for (auto& e : children_)
        if (e->role() == role) return e.get();
    return nullptr;
}

Node* Node::file() const {
    Edge* e = child("file");
    return e ? &e->node() : nullptr;
}

Node* Node::backing() const {
    Edge* e = child("backing");
    return e ? &e->node() : nullptr;
}

Result<void> Node::add_child(NodePtr node, std::string role, u8 perms, u8 shared) {
    children_.push_back(TRY(Edge::attach(std::move(node), this, std::move(role), perms, shared)));
    return {};
}

void Node::remove_child(std::string_view role) {
    std::erase_if(children_, [&](auto& e) { return e->role() == role; });
}

} // namespace mimic::block
