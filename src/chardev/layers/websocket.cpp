// The server's end of a WebSocket (RFC 6455): handshake, then frames. Bytes of text and binary messages are the line's, however
// they are cut; what is sent is binary. Not there: extensions, and the check that text is UTF-8 (it is bytes here).
#include "base/base64.hpp"
#include "base/sha1.hpp"
#include "chardev/layers/layer.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace mimic::chardev {

namespace {

constexpr size_t most_request = 8 << 10;
constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // section 1.3

// Section 5.2.
enum Opcode : u8 { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
// Section 7.4.1.
enum Status : u16 { going_away = 1001, protocol_error = 1002 };

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
    return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

// Is the token in the list (RFC 7230, section 7)?
bool lists(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        size_t comma = list.find(',');
        if (equal_ignoring_case(trim(list.substr(0, comma)), token)) return true;
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    }
    return false;
}

// What a request's head says. Several lines of one name are one list (RFC 7230, section 3.2.2).
struct Request {
    std::string host, upgrade, connection, key, version, protocol;
    bool get = false;
};

bool parse(std::string_view head, Request& r) {
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    size_t target = line.find(' '), http = line.rfind(' ');
    if (target == std::string_view::npos || http <= target + 1) return false;
    std::string_view version = line.substr(http + 1);
    r.get =
        line.substr(0, target) == "GET" && version.size() == 8 && version.starts_with("HTTP/1.") && version[7] >= '1';
    const std::pair<std::string_view, std::string*> wanted[] = {
        {"Host", &r.host},
        {"Upgrade", &r.upgrade},
        {"Connection", &r.connection},
        {"Sec-WebSocket-Key", &r.key},
        {"Sec-WebSocket-Version", &r.version},
        {"Sec-WebSocket-Protocol", &r.protocol},
    };
    while (end != std::string_view::npos) {
        head.remove_prefix(end + 2);
        end = head.find("\r\n");
        line = head.substr(0, end);
        if (line.empty()) break;
        size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon == 0) return false;
        for (auto& [name, value] : wanted) {
            if (!equal_ignoring_case(line.substr(0, colon), name)) continue;
            if (!value->empty()) *value += ", ";
            *value += trim(line.substr(colon + 1));
        }
    }
    return true;
}

void append(Bytes& out, std::string_view s) { out.insert(out.end(), s.begin(), s.end()); }

class WebSocket final : public Layer {
public:
    Result<void> receive(std::span<const u8> bytes, Bytes& in, Bytes& out) override;
    void send(std::span<const u8> bytes, Bytes& out) override { frame(binary, bytes, out); }
    void finish(Bytes& out) override {
        if (open_ && !closed_) say_close(going_away, out);
    }
    bool ready() const override { return open_; }

private:
    // Bytes that were used. Errors: the peer is refused.
    Result<size_t> shake_hands(std::span<const u8> bytes, Bytes& out);
    Result<size_t> take_header(std::span<const u8> bytes);
    size_t take_payload(std::span<const u8> bytes, Bytes& in);
    Result<void> end_of_control(Bytes& out);
    static void frame(u8 opcode, std::span<const u8> payload, Bytes& out);
    void say_close(u16 status, Bytes& out) {
        const u8 payload[] = {u8(status >> 8), u8(status)};
        frame(close, payload, out);
        closed_ = true;
    }

    std::string request_;
    bool open_ = false, closed_ = false;
    // A frame's header as far as it has come; then its payload.
    std::array<u8, 14> header_{};
    size_t header_bytes_ = 0;
    bool in_payload_ = false, in_message_ = false;
    u8 opcode_ = 0;
    u64 left_ = 0, at_ = 0;
    std::array<u8, 4> mask_{};
    Bytes control_;
};

Error refuse(Bytes& out, std::string_view status, std::string_view more, std::string_view why) {
    append(out, fmt::format("HTTP/1.1 {}\r\nConnection: close\r\n{}Content-Length: 0\r\n\r\n", status, more));
    return Error::invalid_argument("WebSocket request: {}", why);
}

// Section 4.2.
Result<size_t> WebSocket::shake_hands(std::span<const u8> bytes, Bytes& out) {
    const size_t before = request_.size();
    request_.append(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), most_request + 1 - before));
    size_t end = request_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end == std::string::npos) {
        if (request_.size() <= most_request) return bytes.size();
        return refuse(out, "431 Request Header Fields Too Large", "", "longer than 8 KiB");
    }
    Request r;
    if (!parse(std::string_view(request_).substr(0, end + 2), r))
        return refuse(out, "400 Bad Request", "", "it is not HTTP");
    if (!r.get) return refuse(out, "405 Method Not Allowed", "Allow: GET\r\n", "expected GET of HTTP/1.1");
    if (!lists(r.upgrade, "websocket") || !lists(r.connection, "Upgrade"))
        return refuse(out, "426 Upgrade Required", "Upgrade: websocket\r\n", "expected an upgrade to websocket");
    if (r.version != "13")
        return refuse(out, "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n", "expected version 13");
    auto key = from_base64(r.key);
    if (r.host.empty() || !key || key->size() != 16)
        return refuse(out, "400 Bad Request", "", "expected Host, and a key of 16 bytes");
    std::string proof = r.key + std::string(guid);
    Sha1Digest digest = sha1({reinterpret_cast<const u8*>(proof.data()), proof.size()});
    append(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    append(out, fmt::format("Sec-WebSocket-Accept: {}\r\n",
                            to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()})));
    if (lists(r.protocol, "binary")) append(out, "Sec-WebSocket-Protocol: binary\r\n");
    append(out, "\r\n");
    open_ = true;
    request_.clear();
    request_.shrink_to_fit();
    return end + 4 - before;
}

Result<void> WebSocket::receive(std::span<const u8> bytes, Bytes& in, Bytes& out) {
    while (!bytes.empty() || (in_payload_ && left_ == 0)) {
        if (closed_) return Error::make(ErrorKind::disconnected, "the WebSocket is closed");
        size_t used = 0;
        if (!open_) {
            used = TRY(shake_hands(bytes, out));
        } else if (!in_payload_) {
            auto took = take_header(bytes);
            if (!took) {
                say_close(protocol_error, out);
                return std::move(took).error();
            }
            used = *took;
        } else {
            used = take_payload(bytes, in);
            if (left_ == 0) {
                in_payload_ = false;
                if (opcode_ >= close) TRY(end_of_control(out));
            }
        }
        bytes = bytes.subspan(used);
    }
    return {};
}

// Sections 5.1 to 5.5.
Result<size_t> WebSocket::take_header(std::span<const u8> bytes) {
    auto bad = [](std::string_view why) { return Error::invalid_argument("WebSocket frame: {}", why); };
    size_t used = 0;
    auto need = [&](size_t n) {
        while (header_bytes_ < n && used < bytes.size()) header_[header_bytes_++] = bytes[used++];
        return header_bytes_ >= n;
    };
    if (!need(2)) return used;
    const bool fin = header_[0] & 0x80, masked = header_[1] & 0x80;
    const u8 opcode = header_[0] & 15, short_length = header_[1] & 127;
    if (header_[0] & 0x70) return bad("a reserved bit is set");
    if (!masked) return bad("it is not masked");
    if (opcode > pong || (opcode > binary && opcode < close)) return bad("its opcode is reserved");
    if (opcode >= close && (!fin || short_length > 125)) return bad("a control frame is long or in pieces");
    if (opcode < close && (opcode == continuation) != in_message_) return bad("a message is in another");
    const size_t extended = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    if (!need(2 + extended + 4)) return used;
    u64 length = extended ? 0 : short_length;
    for (size_t i = 0; i < extended; i++) length = length << 8 | header_[2 + i];
    if (length >> 63 || (extended == 8 && length < 65536) || (extended == 2 && length < 126))
        return bad("its length is not written as it should be");
    std::memcpy(mask_.data(), header_.data() + 2 + extended, 4);
    if (opcode < close) in_message_ = !fin;
    opcode_ = opcode;
    left_ = length;
    at_ = 0;
    header_bytes_ = 0;
    in_payload_ = true;
    control_.clear();
    return used;
}

size_t WebSocket::take_payload(std::span<const u8> bytes, Bytes& in) {
    size_t n = size_t(std::min<u64>(left_, bytes.size()));
    Bytes& to = opcode_ >= close ? control_ : in;
    to.reserve(to.size() + n);
    for (size_t i = 0; i < n; i++, at_++) to.push_back(bytes[i] ^ mask_[at_ % 4]);
    left_ -= n;
    return n;
}

// Section 5.5.
Result<void> WebSocket::end_of_control(Bytes& out) {
    if (opcode_ == ping) frame(pong, control_, out);
    if (opcode_ != close) return {};
    u16 status = 0;
    if (control_.size() >= 2) status = u16(control_[0] << 8 | control_[1]);
    const bool good = control_.empty() || (status >= 1000 && status < 5000 && (status < 1004 || status > 1006) &&
                                           (status < 1016 || status >= 3000));
    if (good)
        frame(close, std::span(control_).first(std::min<size_t>(control_.size(), 2)), out);
    else
        say_close(protocol_error, out);
    closed_ = true;
    return Error::make(ErrorKind::disconnected, "the WebSocket's peer said good-bye");
}

void WebSocket::frame(u8 opcode, std::span<const u8> payload, Bytes& out) {
    out.push_back(0x80 | opcode);
    const u64 n = payload.size();
    if (n < 126) {
        out.push_back(u8(n));
    } else {
        const int bytes = n < 65536 ? 2 : 8;
        out.push_back(bytes == 2 ? 126 : 127);
        for (int i = bytes - 1; i >= 0; i--) out.push_back(u8(n >> 8 * i));
    }
    out.insert(out.end(), payload.begin(), payload.end());
}

} // namespace

std::unique_ptr<Layer> make_websocket() { return std::make_unique<WebSocket>(); }

} // namespace mimic::chardev
