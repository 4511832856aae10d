// AML, the byte code of ACPI's definition blocks, written by functions that return terms: a term is its bytes.
// Source: ACPI 6.4, chapter 20 (ACPI Machine Language) and section 6.4 (resource data types).
//
//   aml::device("COM0", {aml::name("_HID", aml::string("ARMH0011")), aml::name("_UID", aml::integer(0)),
//                        aml::name("_CRS", aml::resources({aml::memory32(0x9000000, 0x1000), aml::interrupt(33)}))})
#pragma once
#include "base/types.hpp"
#include <span>
#include <string_view>
#include <vector>

namespace mimic::machines::aml {

using Term = std::vector<u8>;
using Terms = std::vector<Term>;

// ---- data

Term integer(u64 value);
Term string(std::string_view text);
Term buffer(std::span<const u8> bytes);
Term package(const Terms& elements); // at most 255
// An identifier of PNP devices ("PNP0A08"), three letters and four hexadecimal digits, as an integer.
Term eisa_id(std::string_view id);
// "33db4d5b-1ff7-401c-9657-7441c03dd766" as a buffer.
Term uuid(std::string_view text);
// An object by its path: segments of at most four characters between dots, '\' before the root's.
Term path(std::string_view text);

// ---- objects

Term name(std::string_view path, const Term& value);
Term scope(std::string_view path, const Terms& inside);
Term device(std::string_view path, const Terms& inside);
Term method(std::string_view path, u32 arguments, const Terms& body);

// ---- statements and expressions of methods

Term argument(u32 n); // 0 to 6
Term store(const Term& value, const Term& target);
Term and_(const Term& a, const Term& b, const Term& target);
Term or_(const Term& a, const Term& b, const Term& target);
Term equal(const Term& a, const Term& b);
Term not_(const Term& a);
Term if_(const Term& condition, const Terms& body);
Term else_(const Terms& body); // behind an if_
Term return_(const Term& value);
Term notify(std::string_view object, u64 value);
// `field` names the 32 bits of `buffer` at byte `offset`.
Term dword_field(const Term& buffer, u32 offset, std::string_view field);

// ---- resource templates

// A buffer of descriptors, with the end tag.
Term resources(const Terms& descriptors);
Term memory32(u32 base, u32 bytes); // fixed, read and write
Term interrupt(u32 number, bool edge = false);
// What a bridge hands down: bus numbers, memory, I/O ports that are seen in memory at `at`.
Term bus_numbers(u16 first, u16 last);
Term memory_window32(u32 base, u32 bytes);
Term memory_window64(u64 base, u64 bytes);
Term io_window(u32 first, u32 count, u32 at);
// An interrupt of pin `pin` of the GPIO controller `controller` (a path): edge, active high.
Term gpio_interrupt(u16 pin, std::string_view controller);

} // namespace mimic::machines::aml
