#include "machines/boot/aml.hpp"
#include "base/check.hpp"
#include <algorithm>

namespace mimic::machines::aml {
namespace {

// Section 20.2: what begins each term.
constexpr u8 zero_op = 0x00, one_op = 0x01, name_op = 0x08, byte_prefix = 0x0a, word_prefix = 0x0b, dword_prefix = 0x0c,
             string_prefix = 0x0d, qword_prefix = 0x0e, scope_op = 0x10, buffer_op = 0x11, package_op = 0x12,
             method_op = 0x14, dual_name = 0x2e, multi_name = 0x2f, ext_op = 0x5b, ext_device = 0x82, arg0_op = 0x68,
             store_op = 0x70, and_op = 0x7b, or_op = 0x7d, notify_op = 0x86, dword_field_op = 0x8a, not_op = 0x92,
             equal_op = 0x93, if_op = 0xa0, else_op = 0xa1, return_op = 0xa4;

void append(Term& out, const Term& t) { out.insert(out.end(), t.begin(), t.end()); }
void append(Term& out, const Terms& terms) {
    for (const Term& t : terms) append(out, t);
}
void put(Term& out, u64 value, u32 bytes) {
    for (u32 i = 0; i < bytes; i++) out.push_back(u8(value >> (8 * i)));
}

// Section 20.2.4: the length counts itself; the first byte says how many follow.
Term package_length(size_t content) {
    if (content + 1 < 0x40) return {u8(content + 1)};
    for (u32 more = 1; more <= 3; more++) {
        u64 length = content + 1 + more;
        if (length >> (4 + 8 * more)) continue;
        Term out{u8(more << 6 | (length & 15))};
        put(out, length >> 4, more);
        return out;
    }
    MIMIC_CHECK(false, "an AML package of 2^28 bytes");
    return {};
}
Term block(Term head, const Term& content) {
    append(head, package_length(content.size()));
    append(head, content);
    return head;
}
Term joined(const Terms& terms) {
    Term out;
    append(out, terms);
    return out;
}
Term joined(Term out, const Terms& terms) {
    append(out, terms);
    return out;
}

u8 hex(char c) { return u8(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

// Section 6.4.3.5, address space descriptors. `general`: decoded positively, both ends fixed, handed down.
Term window(u8 tag, u32 width, u8 kind, u8 flags, u64 first, u64 count, u64 translation) {
    constexpr u8 general = 0x0c;
    Term out{tag};
    put(out, 3 + 5 * width, 2);
    append(out, {kind, general, flags});
    for (u64 v : {u64{0}, first, first + count - 1, translation, count}) put(out, v, width);
    return out;
}
constexpr u8 space_memory = 0, space_io = 1, space_bus = 2;

} // namespace

// ---- data

Term integer(u64 value) {
    if (value <= 1) return {value ? one_op : zero_op};
    u32 bytes = value >> 32 ? 8 : value >> 16 ? 4 : value >> 8 ? 2 : 1;
    Term out{bytes == 8 ? qword_prefix : bytes == 4 ? dword_prefix : bytes == 2 ? word_prefix : byte_prefix};
    put(out, value, bytes);
    return out;
}

Term string(std::string_view text) {
    Term out(text.size() + 2);
    out[0] = string_prefix;
    std::copy(text.begin(), text.end(), out.begin() + 1);
    return out;
}

Term buffer(std::span<const u8> bytes) {
    return block({buffer_op}, joined(integer(bytes.size()), {Term(bytes.begin(), bytes.end())}));
}

Term package(const Terms& elements) {
    MIMIC_CHECK(elements.size() < 256, "an AML package has at most 255 elements");
    return block({package_op}, joined({u8(elements.size())}, elements));
}

// Section 19.6.36: five bits a letter, four a digit, the bytes in the order of a big-endian number.
Term eisa_id(std::string_view id) {
    MIMIC_CHECK(id.size() == 7, "an EISA identifier has three letters and four digits");
    u32 v = 0;
    for (char c : id.substr(0, 3)) v = v << 5 | u32(c - '@');
    for (char c : id.substr(3)) v = v << 4 | hex(c);
    return joined({dword_prefix}, {{u8(v >> 24), u8(v >> 16), u8(v >> 8), u8(v)}});
}

// Section 19.6.142: the first three groups are little-endian.
Term uuid(std::string_view text) {
    constexpr u8 order[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    MIMIC_CHECK(text.size() == 36, "a UUID has 36 characters");
    u8 bytes[16];
    for (u32 i = 0; i < 16; i++) bytes[i] = u8(hex(text[order[i]]) << 4 | hex(text[order[i] + 1u]));
    return buffer(bytes);
}

Term path(std::string_view text) {
    Term root, segments;
    u32 count = 0;
    if (text.starts_with('\\')) root.push_back('\\'), text.remove_prefix(1);
    while (!text.empty()) {
        std::string_view segment = text.substr(0, text.find('.'));
        text.remove_prefix(std::min(text.size(), segment.size() + 1));
        MIMIC_CHECK(!segment.empty() && segment.size() <= 4, "a segment of an AML path has one to four characters");
        for (size_t i = 0; i < 4; i++) segments.push_back(i < segment.size() ? u8(segment[i]) : u8('_'));
        count++;
    }
    if (count == 2) root.push_back(dual_name);
    if (count > 2) append(root, {multi_name, u8(count)});
    append(root, segments);
    return root;
}

// ---- objects

Term name(std::string_view p, const Term& value) { return joined({name_op}, {path(p), value}); }
Term scope(std::string_view p, const Terms& inside) { return block({scope_op}, joined(path(p), inside)); }
Term device(std::string_view p, const Terms& inside) { return block({ext_op, ext_device}, joined(path(p), inside)); }
Term method(std::string_view p, u32 arguments, const Terms& body) {
    return block({method_op}, joined(joined(path(p), {{u8(arguments)}}), body));
}

// ---- statements and expressions

Term argument(u32 n) { return {u8(arg0_op + n)}; }
Term store(const Term& value, const Term& target) { return joined({store_op}, {value, target}); }
Term and_(const Term& a, const Term& b, const Term& target) { return joined({and_op}, {a, b, target}); }
Term or_(const Term& a, const Term& b, const Term& target) { return joined({or_op}, {a, b, target}); }
Term equal(const Term& a, const Term& b) { return joined({equal_op}, {a, b}); }
Term not_(const Term& a) { return joined({not_op}, {a}); }
Term if_(const Term& condition, const Terms& body) { return block({if_op}, joined(condition, body)); }
Term else_(const Terms& body) { return block({else_op}, joined(body)); }
Term return_(const Term& value) { return joined({return_op}, {value}); }
Term notify(std::string_view object, u64 value) { return joined({notify_op}, {path(object), integer(value)}); }
Term dword_field(const Term& from, u32 offset, std::string_view field) {
    return joined({dword_field_op}, {from, integer(offset), path(field)});
}

// ---- resources

Term resources(const Terms& descriptors) {
    Term bytes = joined(descriptors);
    append(bytes, {0x79, 0}); // end tag; checksum 0: not used
    return buffer(bytes);
}

Term memory32(u32 base, u32 bytes) {
    Term out{0x86, 9, 0, 1};
    put(out, base, 4);
    put(out, bytes, 4);
    return out;
}

Term interrupt(u32 number, bool edge) {
    Term out{0x89, 6, 0, u8(edge ? 3 : 1), 1}; // for a consumer, active high, exclusive; one number
    put(out, number, 4);
    return out;
}

Term bus_numbers(u16 first, u16 last) { return window(0x88, 2, space_bus, 0, first, u64(last) - first + 1, 0); }
Term memory_window32(u32 base, u32 bytes) { return window(0x87, 4, space_memory, 1, base, bytes, 0); }
Term memory_window64(u64 base, u64 bytes) { return window(0x8a, 8, space_memory, 1, base, bytes, 0); }
Term io_window(u32 first, u32 count, u32 at) {
    constexpr u8 entire_range = 3;
    return window(0x87, 4, space_io, entire_range, first, count, at);
}

// Section 6.4.3.8.1.
Term gpio_interrupt(u16 pin, std::string_view controller) {
    constexpr u8 edge_active_high = 1, pull_up = 1;
    constexpr u32 pins = 23, source = pins + 2; // offsets of what has no fixed place
    u32 end = source + u32(controller.size()) + 1;
    Term out{0x8c};
    put(out, end - 3, 2);
    append(out, {1, 0, 1, 0, edge_active_high, 0, pull_up}); // revision, an interrupt's, for a consumer
    put(out, 0, 4);                                          // drive strength, debounce time
    put(out, pins, 2);
    out.push_back(0); // source index
    put(out, source, 2);
    put(out, end, 2); // vendor data: none
    put(out, 0, 2);
    put(out, pin, 2);
    out.insert(out.end(), controller.begin(), controller.end());
    out.push_back(0);
    return out;
}

} // namespace mimic::machines::aml
