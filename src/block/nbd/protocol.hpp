// Constants and layouts of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md). All integers are big-endian.
//
// Not there: oldstyle servers, extended headers (64-bit requests), resize.
#pragma once
#include "base/result.hpp"
#include "block/bytes.hpp"
#include <cstring>
#include <string>
#include <vector>

namespace mimic::block::nbd {

// Handshake.
constexpr u64 init_magic = 0x4e42444d41474943;   // "NBDMAGIC"
constexpr u64 option_magic = 0x49484156454f5054; // "IHAVEOPT"
constexpr u64 old_magic = 0x00420281861253;
constexpr u64 reply_magic = 0x3e889045565a9;

constexpr u16 flag_fixed_newstyle = 1, flag_no_zeroes = 2;     // of the server
constexpr u32 flag_c_fixed_newstyle = 1, flag_c_no_zeroes = 2; // of the client
constexpr size_t reserved_bytes = 124;

enum Option : u32 {
    opt_export_name = 1,
    opt_abort = 2,
    opt_list = 3,
    opt_starttls = 5,
    opt_info = 6,
    opt_go = 7,
    opt_structured_reply = 8,
    opt_list_meta_context = 9,
    opt_set_meta_context = 10,
};

enum OptionReply : u32 {
    rep_ack = 1,
    rep_server = 2,
    rep_info = 3,
    rep_meta_context = 4,
    rep_error = 1u << 31,
    rep_err_unsup = rep_error + 1,
    rep_err_policy = rep_error + 2,
    rep_err_invalid = rep_error + 3,
    rep_err_platform = rep_error + 4,
    rep_err_tls_reqd = rep_error + 5,
    rep_err_unknown = rep_error + 6,
    rep_err_shutdown = rep_error + 7,
    rep_err_block_size_reqd = rep_error + 8,
    rep_err_too_big = rep_error + 9,
};

enum Info : u16 { info_export = 0, info_name = 1, info_description = 2, info_block_size = 3 };

// Transmission flags.
constexpr u16 flag_has_flags = 1, flag_read_only = 2, flag_send_flush = 4, flag_send_fua = 8, flag_rotational = 16,
              flag_send_trim = 32, flag_send_write_zeroes = 64, flag_send_df = 128, flag_can_multi_conn = 256,
              flag_send_cache = 1024, flag_send_fast_zero = 2048;

// Transmission.
constexpr u32 request_magic = 0x25609513, simple_magic = 0x67446698, structured_magic = 0x668e33ef;
constexpr size_t request_bytes = 28, simple_bytes = 16, structured_bytes = 20;

enum Command : u16 {
    cmd_read = 0,
    cmd_write = 1,
    cmd_disc = 2,
    cmd_flush = 3,
    cmd_trim = 4,
    cmd_cache = 5,
    cmd_write_zeroes = 6,
    cmd_block_status = 7,
};
constexpr u16 cmd_flag_fua = 1, cmd_flag_no_hole = 2, cmd_flag_df = 4, cmd_flag_req_one = 8, cmd_flag_fast_zero = 16;

constexpr u16 reply_flag_done = 1;
enum Chunk : u16 {
    chunk_none = 0,
    chunk_offset_data = 1,
    chunk_offset_hole = 2,
    chunk_block_status = 5,
    chunk_error = 1u << 15 | 1,
    chunk_error_offset = 1u << 15 | 2,
};
constexpr u16 chunk_is_error = 1u << 15;

constexpr u32 state_hole = 1, state_zero = 2; // base:allocation
constexpr u32 state_dirty = 1;                // qemu:dirty-bitmap:NAME
constexpr std::string_view base_allocation = "base:allocation", allocation_depth = "qemu:allocation-depth",
                           dirty_bitmap = "qemu:dirty-bitmap:";

constexpr size_t max_string = 4096;
// The largest payload of a request or a reply; what both sides may expect of each other unless they say otherwise.
constexpr u32 max_payload = 32u << 20;
// An option's data: a name and some queries. Longer ones are skipped or refused.
constexpr u32 max_option = 64u << 10;

// Error numbers of replies. They are their own; most equal Linux's.
enum ErrorNumber : u32 {
    ok = 0,
    eperm = 1,
    eio = 5,
    enomem = 12,
    einval = 22,
    enospc = 28,
    eoverflow = 75,
    enotsup = 95,
    eshutdown = 108,
};
u32 error_number(const Error& error);
// An error of the kind that the number means; unknown numbers are input/output errors.
Error error_of(u32 number, std::string_view what);
std::string_view command_name(u16 command);

struct Request {
    u16 flags = 0, command = 0;
    u64 cookie = 0, offset = 0;
    u32 length = 0;

    // `p` has request_bytes. Errors: the magic is not a request's.
    static Result<Request> parse(const u8* p);
    void write(u8* p) const;
};

struct BlockSizes {
    u32 minimum = 1, preferred = 4096, maximum = max_payload;
};

// Bytes put one behind the other.
class Packer {
public:
    Packer& number16(u16 n) { return integer<u16>(n, put16); }
    Packer& number32(u32 n) { return integer<u32>(n, put32); }
    Packer& number64(u64 n) { return integer<u64>(n, put64); }
    Packer& text(std::string_view s) {
        bytes_.insert(bytes_.end(), s.begin(), s.end());
        return *this;
    }
    Packer& zeroes(size_t n) {
        bytes_.resize(bytes_.size() + n);
        return *this;
    }
    const std::vector<u8>& bytes() const { return bytes_; }

private:
    template <class T>
    Packer& integer(T n, void (*put)(u8*, T)) {
        bytes_.resize(bytes_.size() + sizeof n);
        put(&bytes_[bytes_.size() - sizeof n], n);
        return *this;
    }
    std::vector<u8> bytes_;
};

// Takes bytes apart; what is not there reads as 0 and spoils ok().
class Unpacker {
public:
    explicit Unpacker(std::span<const u8> bytes) : rest_(bytes) {}
    u16 number16() { return take(2) ? get16(last_) : u16(0); }
    u32 number32() { return take(4) ? get32(last_) : 0; }
    u64 number64() { return take(8) ? get64(last_) : 0; }
    std::string text(size_t n) {
        return take(n) ? std::string(reinterpret_cast<const char*>(last_), n) : std::string();
    }
    size_t left() const { return rest_.size(); }
    bool ok() const { return ok_; }
    // Everything was there, and nothing more.
    bool complete() const { return ok_ && rest_.empty(); }

private:
    bool take(size_t n) {
        if (!ok_ || n > rest_.size()) {
            ok_ = false;
            rest_ = {};
            return false;
        }
        last_ = rest_.data();
        rest_ = rest_.subspan(n);
        return true;
    }
    std::span<const u8> rest_;
    const u8* last_ = nullptr;
    bool ok_ = true;
};

} // namespace mimic::block::nbd
