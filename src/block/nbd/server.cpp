#include "block/nbd/server.hpp"
#include <algorithm>
#include <bit>

namespace mimic::block::nbd {

BlockSizes Export::sizes() const {
    BlockSizes s;
    const Node& node = disk->node();
    s.minimum = node.limits().request_alignment;
    u64 cluster = node.cluster_size();
    s.preferred = std::max<u32>(4096, s.minimum);
    // Powers of two up to the payload's limit only.
    if (std::has_single_bit(cluster) && cluster > s.preferred && cluster <= max_payload) s.preferred = u32(cluster);
    return s;
}

u16 Export::flags(bool structured) const {
    u16 f = flag_has_flags | flag_send_flush | flag_send_fua | flag_send_cache;
    if (writable)
        f |= flag_send_trim | flag_send_write_zeroes | flag_send_fast_zero;
    else
        f |= flag_read_only;
    if (multi_conn) f |= flag_can_multi_conn;
    if (structured) f |= flag_send_df;
    return f;
}

std::vector<std::string> Export::contexts() const {
    std::vector<std::string> list{std::string(base_allocation)};
    if (allocation_depth) list.emplace_back(nbd::allocation_depth);
    for (auto& b : bitmaps) list.push_back(std::string(dirty_bitmap) + b->name());
    return list;
}

Result<void> Server::add(Export e) {
    if (e.name.size() > max_string || e.description.size() > max_string)
        return Error::invalid_argument("export name or description has more than {} bytes", max_string);
    if (find(e.name)) return Error::exists("export '{}' is there already", e.name);
    exports_.push_back(std::move(e));
    return {};
}

const Export* Server::find(std::string_view name) const {
    auto at = std::ranges::find(exports_, name, &Export::name);
    return at == exports_.end() ? nullptr : &*at;
}

unsigned Server::clients_of(std::string_view name) const {
    return unsigned(std::ranges::count_if(
        live_, [&](const Live& l) { return l.session->export_ && l.session->export_->name == name; }));
}

Task<void> Server::remove(std::string name) {
    auto at = std::ranges::find(exports_, name, &Export::name);
    if (at == exports_.end()) co_return;
    // New clients don't find it any more.
    std::list<Export> going;
    going.splice(going.end(), exports_, at);
    auto uses = [&](const Live& l) { return l.session->export_ == &going.front(); };
    for (auto& l : live_)
        if (uses(l)) l.channel->shut();
    Hurried go(*going.front().disk);
    while (std::ranges::any_of(live_, uses)) co_await gone_.wait();
}

Task<bool> Server::serve(std::unique_ptr<Transport> transport) {
    Channel channel(loop_, std::move(transport));
    Session session;
    live_.push_back({&channel, &session});
    Result<bool> agreed = co_await negotiate(*this, channel, session);
    Result<void> end;
    if (agreed && *agreed)
        end = co_await transmit(*this, channel, session);
    else if (!agreed)
        end = agreed.error();
    // Replies that are queued still go out, unless the peer has gone.
    if (end) end = co_await channel.flush();
    if (end)
        co_await channel.finish();
    else
        log(end.error().message());
    co_await channel.close();
    std::erase_if(live_, [&](const Live& l) { return l.channel == &channel; });
    if (live_.empty()) leaving_.clear();
    bool used = agreed && session.export_;
    gone_.wake_all();
    co_return used;
}

void Server::shut_all() {
    for (auto& l : live_) l.channel->shut();
    if (!live_.empty())
        for (auto& e : exports_) leaving_.emplace_back(*e.disk);
}

} // namespace mimic::block::nbd
