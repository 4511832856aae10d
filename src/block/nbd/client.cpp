// Requests and replies of the transmission phase.
#include "block/nbd/client.hpp"
#include <algorithm>

namespace mimic::block::nbd {

namespace {

constexpr u32 max_states_bytes = 1u << 20;
// Of a read's reply, apart from each other.
constexpr size_t most_pieces = 4096;

Error broke(std::string_view how) {
    return Error::make(ErrorKind::disconnected, "the NBD server broke the protocol: {}", how);
}

} // namespace

Task<Result<void>> Connection::perform(Operation operation) {
    while (pending_.size() >= max_requests && !broken_) co_await changed_.wait();
    if (broken_) co_return *broken_;
    Pending p;
    p.operation = operation;
    u64 cookie = next_cookie_++;
    pending_.emplace(cookie, &p);
    Request r;
    r.flags = operation.flags;
    r.command = operation.command;
    r.cookie = cookie;
    r.offset = operation.offset;
    r.length = operation.length;
    Channel::Message m;
    r.write(m.head.data());
    m.head_length = request_bytes;
    if (operation.command == cmd_write) m.body = *operation.memory;
    u64 number = channel_.queue(std::move(m));
    struct Awaiter {
        Pending& p;
        bool await_ready() { return p.done; }
        void await_suspend(std::coroutine_handle<> h) { p.waiter = h; }
        void await_resume() {}
    };
    Awaiter reply{p};
    co_await reply;
    // A server may answer before it has read everything; our memory is the caller's again only when it has been sent.
    while (channel_.done() < number) co_await channel_.progress().wait();
    if (p.error) co_return *p.error;
    co_return Result<void>();
}

void Connection::finish(u64 cookie, Pending& p) {
    pending_.erase(cookie);
    p.done = true;
    if (p.waiter) loop_.post(p.waiter);
    changed_.wake_all();
}

void Connection::fail(const Error& error) {
    if (!broken_) broken_ = error;
    channel_.shut();
    while (!pending_.empty()) {
        auto [cookie, p] = *pending_.begin();
        p->error = *broken_;
        finish(cookie, *p);
    }
    changed_.wake_all();
}

io::Detached Connection::receive() {
    receiving_ = true;
    Result<void> end = co_await receive_all();
    receiving_ = false;
    fail(end.error());
}

Task<Result<void>> Connection::receive_all() {
    for (;;) {
        if (channel_.buffered() < 4) CO_CHECK(co_await channel_.need(4));
        u32 magic = get32(channel_.data());
        if (magic == structured_magic && structured_)
            CO_CHECK(co_await structured_reply());
        else if (magic == simple_magic)
            CO_CHECK(co_await simple_reply());
        else
            co_return broke(fmt::format("a reply has magic {:#010x}", magic));
    }
}

Result<Connection::Pending*> Connection::find(u64 cookie) {
    auto at = pending_.find(cookie);
    if (at == pending_.end()) return broke(fmt::format("a reply to no request (cookie {})", cookie));
    return at->second;
}

Task<Result<void>> Connection::simple_reply() {
    CO_CHECK(co_await channel_.need(simple_bytes));
    u32 error = get32(channel_.data() + 4);
    u64 cookie = get64(channel_.data() + 8);
    channel_.consume(simple_bytes);
    CO_TRY(Pending * p, find(cookie));
    const Operation& o = p->operation;
    bool structured_only = o.command == cmd_block_status || (o.command == cmd_read && structured_);
    if (structured_only && !error) co_return broke(fmt::format("a simple reply to {}", command_name(o.command)));
    if (error)
        p->error = error_of(error, fmt::format("NBD server, {} at {}", command_name(o.command), o.offset));
    else if (o.command == cmd_read)
        CO_CHECK(co_await channel_.read(*o.memory));
    finish(cookie, *p);
    co_return Result<void>();
}

Task<Result<void>> Connection::structured_reply() {
    if (channel_.buffered() < structured_bytes) CO_CHECK(co_await channel_.need(structured_bytes));
    const u8* head = channel_.data();
    u16 flags = get16(head + 4), type = get16(head + 6);
    u64 cookie = get64(head + 8);
    u32 length = get32(head + 16);
    channel_.consume(structured_bytes);
    CO_TRY(Pending * p, find(cookie));
    const Operation& o = p->operation;
    bool is_content = type == chunk_offset_data || type == chunk_offset_hole;
    if (type & chunk_is_error)
        CO_CHECK(co_await error_chunk(*p, length));
    else if (is_content && o.command == cmd_read)
        CO_CHECK(co_await content(*p, type, length));
    else if (type == chunk_block_status && o.command == cmd_block_status)
        CO_CHECK(co_await states(*p, length));
    else if (type != chunk_none || length != 0 || !(flags & reply_flag_done))
        co_return broke(fmt::format("a chunk of type {} and {} bytes to {}", type, length, command_name(o.command)));
    if (!(flags & reply_flag_done)) co_return Result<void>();
    u64 got = 0;
    for (auto& [begin, end] : p->covered) got += end - begin;
    if (!p->error && o.command == cmd_read && got != o.length)
        co_return broke(fmt::format("{} of {} bytes read", got, o.length));
    if (!p->error && o.command == cmd_block_status && !p->got_states)
        co_return broke("no status in a reply to block status");
    finish(cookie, *p);
    co_return Result<void>();
}

// Notes that the reply has told [offset, offset + length), which must be asked for and new.
Result<void> Connection::cover(Pending& p, u64 offset, u64 length) {
    const Operation& o = p.operation;
    if (length == 0 || offset < o.offset || offset - o.offset > o.length || length > o.length - (offset - o.offset))
        return broke(
            fmt::format("{} bytes at {} in a reply to a read of {} at {}", length, offset, o.length, o.offset));
    u64 end = offset + length;
    auto after = p.covered.lower_bound(offset);
    auto before = after == p.covered.begin() ? p.covered.end() : std::prev(after);
    if ((after != p.covered.end() && after->first < end) || (before != p.covered.end() && before->second > offset))
        return broke(fmt::format("bytes at {} come twice", offset));
    if (after != p.covered.end() && after->first == end) {
        end = after->second;
        p.covered.erase(after);
    }
    if (before != p.covered.end() && before->second == offset)
        before->second = end;
    else
        p.covered.emplace(offset, end);
    if (p.covered.size() > most_pieces) return broke("a read's reply is in too many pieces");
    return {};
}

Task<Result<void>> Connection::content(Pending& p, u16 type, u32 length) {
    if (type == chunk_offset_hole ? length != 12 : length < 9)
        co_return broke(fmt::format("a content chunk of {} bytes", length));
    u32 fixed = type == chunk_offset_hole ? 12 : 8;
    CO_CHECK(co_await channel_.need(fixed));
    u64 offset = get64(channel_.data());
    u64 bytes = type == chunk_offset_hole ? get32(channel_.data() + 8) : length - 8;
    channel_.consume(fixed);
    CO_CHECK(cover(p, offset, bytes));
    u64 at = offset - p.operation.offset;
    if (type == chunk_offset_hole) {
        p.operation.memory->fill(at, bytes, 0);
        co_return Result<void>();
    }
    if (bytes == p.operation.memory->length()) co_return co_await channel_.read(*p.operation.memory);
    IoVec part = p.operation.memory->slice(at, bytes);
    co_return co_await channel_.read(part);
}

Task<Result<void>> Connection::states(Pending& p, u32 length) {
    if (length < 12 || length % 8 != 4 || length > max_states_bytes)
        co_return broke(fmt::format("a block status of {} bytes", length));
    CO_TRY(auto bytes, co_await channel_.read_bytes(length));
    if (!context_ || get32(bytes.data()) != *context_) co_return broke("a status of a context that was not asked for");
    if (p.got_states) co_return broke("two statuses of one context");
    p.got_states = true;
    u64 sum = 0;
    for (size_t at = 4; at < length; at += 8) {
        BlockState s{get32(&bytes[at]), get32(&bytes[at + 4])};
        if (s.length == 0 || sum >= p.operation.length) co_return broke("a status of no bytes, or past what was asked");
        sum += s.length;
        p.operation.states->push_back(s);
    }
    co_return Result<void>();
}

Task<Result<void>> Connection::error_chunk(Pending& p, u32 length) {
    if (length < 6 || length > max_option) co_return broke(fmt::format("an error chunk of {} bytes", length));
    CO_TRY(auto bytes, co_await channel_.read_bytes(length));
    Unpacker in(bytes);
    u32 number = in.number32();
    std::string text = in.text(in.number16());
    if (!in.ok() || number == 0) co_return broke("an error chunk without an error");
    for (char& c : text)
        if (u8(c) < 32 || c == 127) c = '?';
    const Operation& o = p.operation;
    if (!p.error)
        p.error = error_of(number, fmt::format("NBD server, {} at {}{}{}", command_name(o.command), o.offset,
                                               text.empty() ? "" : ": ", text));
    co_return Result<void>();
}

Task<void> Connection::close() {
    if (!broken_) {
        Request r;
        r.command = cmd_disc;
        u8 bytes[request_bytes];
        r.write(bytes);
        channel_.queue(bytes);
        co_await channel_.finish();
    }
    channel_.shut();
    while (receiving_) co_await changed_.wait();
    co_await channel_.close();
}

} // namespace mimic::block::nbd
