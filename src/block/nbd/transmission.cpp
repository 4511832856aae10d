// The server's half of the transmission phase: requests are read one after the other and done beside each other.
#include "base/io/scope.hpp"
#include "block/nbd/server.hpp"
#include <algorithm>

namespace mimic::block::nbd {

namespace {

// Longer reads are looked up first, and holes of them are not read; shorter ones are cheaper to read and look at.
constexpr u32 sparse_read = 64u << 10;
constexpr u64 read_step = 256u << 10;
constexpr size_t most_extents = 2048;
constexpr u64 cache_step = 1u << 20;

class Transmission {
public:
    Transmission(Server& server, Channel& channel, const Session& session)
        : server_(server)
        , channel_(channel)
        , session_(session)
        , export_(*session.export_)
        , node_(*session.export_->disk)
        , contexts_(session.export_->contexts())
        , scope_(server.loop())
        , room_(server.loop()) {
        channel_.on_sent = [this](u64 charge) { release(charge); };
    }

    Task<Result<void>> run() {
        Result<void> end = co_await read_requests();
        // What a client asked for is done, even when it has gone.
        co_await scope_.drain();
        Result<void> sent = co_await channel_.flush();
        channel_.on_sent = nullptr;
        co_return end ? sent : end;
    }

private:
    Task<Result<void>> read_requests() {
        for (;;) {
            if (channel_.buffered() < request_bytes) {
                Result<void> more = co_await channel_.need(request_bytes);
                // Between two requests a client may just go.
                if (!more && more.error().kind() == ErrorKind::disconnected && channel_.buffered() == 0)
                    co_return Result<void>();
                if (!more) co_return more;
            }
            CO_TRY(Request r, Request::parse(channel_.data()));
            channel_.consume(request_bytes);
            if (r.command == cmd_disc) co_return Result<void>();
            if (r.command == cmd_write && r.length > max_payload)
                co_return Error::invalid_argument("client writes {} bytes at once, expected at most {}", r.length,
                                                  max_payload);
            u64 bytes = r.command == cmd_read || r.command == cmd_write ? std::min(r.length, max_payload) : 0;
            while (requests_ >= Server::max_requests || (requests_ && bytes_ + bytes > Server::max_bytes))
                co_await room_.wait();
            if (channel_.failed()) co_return *channel_.failed();
            requests_++;
            bytes_ += bytes;
            if (Result<void> good = check(r); !good) {
                if (r.command == cmd_write) CO_CHECK(co_await channel_.skip(r.length));
                reply_error(r, good.error(), charge_of(bytes));
                continue;
            }
            Buffer payload;
            if (r.command == cmd_write) {
                CO_TRY(payload, Buffer::create(r.length));
                IoVec memory = payload.vec();
                CO_CHECK(co_await channel_.read(memory));
            }
            scope_.spawn(handle(r, std::move(payload), charge_of(bytes)));
        }
    }

    // A request's part of the limits, as Message::charge has it: one request and its bytes.
    static u64 charge_of(u64 bytes) { return bytes << 1 | 1; }
    void release(u64 charge) {
        requests_ -= unsigned(charge & 1);
        bytes_ -= charge >> 1;
        room_.wake_all();
    }

    Result<void> check(const Request& r) const {
        u16 allowed = cmd_flag_fua;
        switch (r.command) {
        case cmd_read: allowed |= session_.structured ? cmd_flag_df : 0; break;
        case cmd_write_zeroes: allowed |= cmd_flag_no_hole | cmd_flag_fast_zero; break;
        case cmd_block_status: allowed |= cmd_flag_req_one; break;
        default: break;
        }
        if (r.command == 2 || r.command > cmd_block_status)
            return Error::invalid_argument("unknown command {}", r.command);
        if (r.flags & ~allowed)
            return Error::invalid_argument("unsupported flags {:#x} for {}", r.flags, command_name(r.command));
        bool writes = r.command == cmd_write || r.command == cmd_trim || r.command == cmd_write_zeroes;
        if (writes && !export_.writable) return Error::permission("export is read-only");
        if (r.command == cmd_flush) return {};
        u64 size = node_.size();
        if (r.offset > size || r.length > size - r.offset) {
            std::string text = fmt::format("operation past EOF; From: {}, Len: {}, Size: {}", r.offset, r.length, size);
            if (r.command == cmd_write || r.command == cmd_write_zeroes) return Error::no_space("{}", text);
            return Error::invalid_argument("{}", text);
        }
        if (r.command == cmd_read && r.length > max_payload)
            return Error::invalid_argument("read of {} bytes, expected at most {}", r.length, max_payload);
        if (r.command == cmd_block_status && session_.contexts.empty())
            return Error::invalid_argument("block status without a metadata context");
        if (r.command == cmd_block_status && r.length == 0) return Error::invalid_argument("block status of no bytes");
        u32 minimum = node_.node().limits().request_alignment;
        if (r.offset % minimum || r.length % minimum)
            return Error::invalid_argument("{} of {} bytes at {} is not aligned to {}", command_name(r.command),
                                           r.length, r.offset, minimum);
        return {};
    }

    Task<Result<void>> handle(Request r, Buffer payload, u64 charge) {
        Result<void> done;
        u32 fua = (r.flags & cmd_flag_fua) || export_.write_through ? flag::fua : 0;
        switch (r.command) {
        case cmd_read: co_await read(r, charge); co_return Result<void>();
        case cmd_block_status: co_await block_status(r, charge); co_return Result<void>();
        case cmd_write: {
            IoVec memory = payload.vec();
            done = co_await node_.write(r.offset, memory, fua);
            break;
        }
        case cmd_write_zeroes:
            fua |= r.flags & cmd_flag_no_hole ? 0 : flag::may_unmap;
            fua |= r.flags & cmd_flag_fast_zero ? flag::no_fallback : 0;
            done = co_await node_.write_zeroes(r.offset, r.length, fua);
            break;
        case cmd_trim:
            done = co_await node_.discard(r.offset, r.length);
            if (done && fua) done = co_await node_.flush();
            break;
        case cmd_flush: done = co_await node_.flush(); break;
        case cmd_cache: done = co_await cache(r); break;
        default: break;
        }
        if (done)
            reply_done(r, charge);
        else
            reply_error(r, done.error(), charge);
        co_return Result<void>();
    }

    Task<Result<void>> cache(Request r) {
        CO_TRY(Buffer buffer, Buffer::create(std::min<u64>(std::max(r.length, 1u), cache_step)));
        for (u64 at = 0; at < r.length;) {
            IoVec memory(buffer.data(), std::min<u64>(buffer.size(), r.length - at));
            CO_CHECK(co_await node_.read(r.offset + at, memory));
            at += memory.length();
        }
        co_return Result<void>();
    }

    Task<void> read(Request r, u64 charge) {
        auto buffer = Buffer::create(std::max(r.length, 1u));
        if (!buffer) {
            reply_error(r, buffer.error(), charge);
            co_return;
        }
        if (session_.structured && r.length > sparse_read && !(r.flags & cmd_flag_df)) {
            co_await sparse(r, std::move(*buffer), charge);
            co_return;
        }
        IoVec memory(buffer->data(), r.length);
        Result<void> done = co_await node_.read(r.offset, memory);
        if (!done) {
            reply_error(r, done.error(), charge);
        } else if (!session_.structured) {
            Channel::Message m = simple(r, ok, charge);
            m.body = memory;
            m.owner = std::move(*buffer);
            channel_.queue(std::move(m));
        } else if (r.length == 0) {
            reply_done(r, charge);
        } else {
            Channel::Message m;
            if (!(r.flags & cmd_flag_df) && memory.is_zero())
                hole(m, r, r.offset, r.length, reply_flag_done);
            else
                data(m, r, r.offset, memory, reply_flag_done);
            m.owner = std::move(*buffer);
            m.charge = charge;
            channel_.queue(std::move(m));
        }
    }

    // The chunks of a long read: holes as such, data in steps, of which one is sent while the next is read.
    Task<void> sparse(Request r, Buffer buffer, u64 charge) {
        u64 end = r.offset + r.length;
        for (u64 at = r.offset; at < end;) {
            auto e = co_await node_.status(nullptr, at, end - at);
            Result<void> done;
            if (!e) done = e.error();
            u64 length = e ? e->extent.length : 0;
            bool zero = e && e->extent.zero;
            if (!zero) length = std::min(length, read_step);
            IoVec memory(buffer.data() + (at - r.offset), length);
            if (e && !zero) done = co_await node_.read(at, memory);
            if (!done) {
                // What has been sent already counts for nothing then.
                reply_error(r, done.error(), charge, std::move(buffer));
                co_return;
            }
            bool last = at + length == end;
            Channel::Message m;
            u16 flags = last ? reply_flag_done : 0;
            if (zero)
                hole(m, r, at, u32(length), flags);
            else
                data(m, r, at, memory, flags);
            if (last) {
                m.keep = std::move(buffer);
                m.charge = charge;
            }
            channel_.queue(std::move(m));
            at += length;
        }
    }

    Task<void> block_status(Request r, u64 charge) {
        std::vector<std::vector<u8>> chunks;
        for (u32 id : session_.contexts) {
            Packer p;
            p.number32(id);
            Result<void> done = co_await extents(r, id, p);
            if (!done) {
                reply_error(r, done.error(), charge);
                co_return;
            }
            chunks.push_back(p.bytes());
        }
        for (auto& c : chunks) {
            bool last = &c == &chunks.back();
            Channel::Message m;
            head(m, r, last ? reply_flag_done : 0, chunk_block_status, u32(c.size()));
            auto owner = Buffer::create(c.size());
            if (!owner) {
                channel_.shut();
                release(charge);
                co_return;
            }
            std::memcpy(owner->data(), c.data(), c.size());
            m.owner = std::move(*owner);
            m.body = m.owner.vec();
            m.charge = last ? charge : 0;
            channel_.queue(std::move(m));
        }
    }

    Task<Result<void>> extents(Request r, u32 id, Packer& p) {
        u64 at = r.offset, end = r.offset + r.length;
        size_t count = 0, most = r.flags & cmd_flag_req_one ? 1 : most_extents;
        u32 state = 0;
        u64 run = 0;
        while (at < end) {
            u64 length = end - at;
            CO_TRY(u32 here, co_await state_at(id, at, length));
            if (run && here != state) {
                p.number32(u32(run)).number32(state);
                run = 0;
                if (++count == most) break;
            }
            state = here;
            run += length;
            at += length;
        }
        if (run) p.number32(u32(run)).number32(state);
        co_return Result<void>();
    }

    // Lowers `length` to how far the state holds.
    Task<Result<u32>> state_at(u32 id, u64 at, u64& length) {
        const std::string& name = contexts_[id];
        if (name.starts_with(dirty_bitmap)) {
            for (auto& b : export_.bitmaps)
                if (name.compare(dirty_bitmap.size(), std::string::npos, b->name()) == 0)
                    co_return b->state(at, length) ? state_dirty : 0u;
            co_return Error::invalid_argument("context '{}' is not there", name);
        }
        CO_TRY(ChainExtent e, co_await node_.status(nullptr, at, length));
        length = std::min(length, e.extent.length);
        if (name == allocation_depth) co_return e.layer&& e.extent.allocated ? e.depth + 1 : 0u;
        co_return (e.extent.data ? 0u : state_hole) | (e.extent.zero ? state_zero : 0u);
    }

    // Replies.
    Channel::Message simple(const Request& r, u32 error, u64 charge) {
        Channel::Message m;
        put32(&m.head[0], simple_magic);
        put32(&m.head[4], error);
        put64(&m.head[8], r.cookie);
        m.head_length = simple_bytes;
        m.charge = charge;
        return m;
    }
    static void head(Channel::Message& m, const Request& r, u16 flags, u16 type, u32 length) {
        put32(&m.head[0], structured_magic);
        put16(&m.head[4], flags);
        put16(&m.head[6], type);
        put64(&m.head[8], r.cookie);
        put32(&m.head[16], length);
        m.head_length = structured_bytes;
    }
    static void data(Channel::Message& m, const Request& r, u64 offset, const IoVec& memory, u16 flags) {
        head(m, r, flags, chunk_offset_data, u32(memory.length()) + 8);
        put64(&m.head[structured_bytes], offset);
        m.head_length += 8;
        m.body = memory;
    }
    static void hole(Channel::Message& m, const Request& r, u64 offset, u32 length, u16 flags) {
        head(m, r, flags, chunk_offset_hole, 12);
        put64(&m.head[structured_bytes], offset);
        put32(&m.head[structured_bytes + 8], length);
        m.head_length += 12;
    }
    void reply_done(const Request& r, u64 charge) {
        // With structured replies a read has no simple one.
        if (!session_.structured || r.command != cmd_read) {
            channel_.queue(simple(r, ok, charge));
            return;
        }
        Channel::Message m;
        head(m, r, reply_flag_done, chunk_none, 0);
        m.charge = charge;
        channel_.queue(std::move(m));
    }
    void reply_error(const Request& r, const Error& error, u64 charge, Buffer keep = {}) {
        u32 number = error_number(error);
        if (!session_.structured) {
            channel_.queue(simple(r, number, charge));
            return;
        }
        std::string_view text = std::string_view(error.message()).substr(0, max_string);
        Packer p;
        p.number32(number).number16(u16(text.size())).text(text);
        Channel::Message m;
        head(m, r, reply_flag_done, chunk_error, u32(p.bytes().size()));
        m.charge = charge;
        m.keep = std::move(keep);
        if (auto owner = Buffer::create(p.bytes().size())) {
            std::memcpy(owner->data(), p.bytes().data(), p.bytes().size());
            m.owner = std::move(*owner);
            m.body = m.owner.vec();
        } else {
            // No memory for words; the client sees the end.
            channel_.shut();
            m.head_length = 0;
        }
        channel_.queue(std::move(m));
    }

    Server& server_;
    Channel& channel_;
    const Session& session_;
    const Export& export_;
    Root& node_;
    std::vector<std::string> contexts_;
    io::Scope scope_;
    io::WaitList room_;
    unsigned requests_ = 0;
    u64 bytes_ = 0;
};

} // namespace

Task<Result<void>> transmit(Server& server, Channel& channel, const Session& session) {
    Transmission t(server, channel, session);
    co_return co_await t.run();
}

} // namespace mimic::block::nbd
