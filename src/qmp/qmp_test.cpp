#include "base/base64.hpp"
#include "qmp/json_stream.hpp"
#include "qmp/schema.hpp"
#include <gtest/gtest.h>

namespace mimic::qmp {
namespace {

// What comes out of a stream, a text or an error a line.
std::string cut(JsonStream& s, std::string_view text) {
    std::string out;
    s.feed({reinterpret_cast<const u8*>(text.data()), text.size()},
           [&](Result<std::string> r) { out += (r ? *r : "! " + r.error().message()) + "\n"; });
    return out;
}

TEST(JsonStream, CutsTextsWhereverTheBytesEnd) {
    std::string_view text = R"({"a": "}\"{", "b": [1, {"c": 2}]} {"d": 3})";
    JsonStream whole;
    std::string all = cut(whole, text), pieces;
    EXPECT_EQ(all, "{\"a\": \"}\\\"{\", \"b\": [1, {\"c\": 2}]}\n{\"d\": 3}\n");
    JsonStream s;
    for (char c : text) pieces += cut(s, std::string_view(&c, 1));
    EXPECT_EQ(pieces, all);
}

TEST(JsonStream, TakesSingleQuotes) {
    JsonStream s;
    EXPECT_EQ(cut(s, R"({'it\'s': 'say "x"'})"), "{\"it's\": \"say \\\"x\\\"\"}\n");
}

TEST(JsonStream, GoesOnAtTheNextLineAfterAnError) {
    JsonStream s;
    EXPECT_EQ(cut(s, "nonsense {\"a\": 1}\n{\"b\": 2}"), "! JSON parse error, expected '{'\n{\"b\": 2}\n");
    EXPECT_EQ(cut(s, "{]]]\n{}"), "! JSON parse error, expected '}', not ']'\n{}\n");
    EXPECT_EQ(cut(s, "{\"a\n{}"), "! JSON parse error, a string does not end in its line\n{}\n");
    EXPECT_EQ(cut(s, "{\"a\": \xff{}"), "! JSON parse error, the text was given up\n{}\n");
    EXPECT_EQ(cut(s, std::string(200, '[') + "\n{}"), "! JSON parse error, nested deeper than 128 levels\n{}\n");
}

TEST(JsonStream, HoldsNoMoreThanItsBound) {
    JsonStream s;
    std::string much(JsonStream::max_bytes + 10, ' ');
    EXPECT_EQ(cut(s, "{" + much + "\n{}"), "! JSON parse error, the text is longer than 16777216 bytes\n{}\n");
}

// ---- schema

Result<Json> nothing(Server&, const Arguments&) { return Json::object(); }

constexpr std::string_view types = R"(
enum Kind: red green
struct Red: depth uint8
struct Green:
union Colour by kind: kind Kind | red = Red | green = Green
)";
constexpr Command commands[] = {
    {"paint", "wall str, ?colour Colour, ?numbers [int]", "", "", nothing},
    {"plug", "driver str, ...", "[Kind]", "", nothing, true},
};
constexpr EventInfo events[] = {{"DRY", "wall str", ""}};

struct Small {
    Family family{types, commands, events};
    const Family* families[1] = {&family};
    Schema schema{families};
    std::string check(std::string_view command, std::string_view arguments) {
        const Command* c = schema.find(command);
        auto done = schema.check(*Json::parse(arguments), schema.arguments(*c));
        return done ? "ok" : done.error().message();
    }
};

TEST(Schema, ChecksArguments) {
    Small s;
    EXPECT_EQ(s.check("paint", R"({"wall": "north"})"), "ok");
    EXPECT_EQ(s.check("paint", R"({"wall": "north", "colour": {"kind": "red", "depth": 255}, "numbers": [1, -2]})"),
              "ok");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "colour": {"kind": "green"}})"), "ok");
    EXPECT_EQ(s.check("plug", R"({"driver": "x", "whatever": [1]})"), "ok");
}

TEST(Schema, NamesWhatIsWrong) {
    Small s;
    EXPECT_EQ(s.check("paint", "{}"), "Parameter 'wall' is missing");
    EXPECT_EQ(s.check("paint", R"({"wall": 1})"), "Invalid parameter type for 'wall', expected: string");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "y": 1})"), "Parameter 'y' is unexpected");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "colour": {"kind": "blue"}})"),
              "Parameter 'colour.kind' does not accept value 'blue'");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "colour": {"kind": "red"}})"), "Parameter 'colour.depth' is missing");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "colour": {"kind": "red", "depth": 256}})"),
              "Invalid parameter type for 'colour.depth', expected: uint8");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "colour": {"kind": "green", "depth": 1}})"),
              "Parameter 'colour.depth' is unexpected");
    EXPECT_EQ(s.check("paint", R"({"wall": "x", "numbers": [1, "2"]})"),
              "Invalid parameter type for 'numbers[1]', expected: integer");
}

TEST(Schema, IntrospectionNamesEverything) {
    Small s;
    std::string text = s.schema.introspect().dump();
    for (
        std::string_view part :
        {R"({"name": "plug", "meta-type": "command", "arg-type": "q_obj_plug-arg", "ret-type": "[Kind]", "allow-oob": true})",
         R"({"name": "DRY", "meta-type": "event", "arg-type": "q_obj_DRY-arg"})",
         R"("tag": "kind", "variants": [{"case": "red", "type": "Red"}, {"case": "green", "type": "Green"}])",
         R"({"name": "colour", "type": "Colour", "default": null})", R"({"name": "[int]", "meta-type": "array")"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(Base64, GoesBothWays) {
    for (std::string_view s : {"", "a", "ab", "abc", "abcd", "\x00\xff\x80"}) EXPECT_EQ(*from_base64(to_base64(s)), s);
    EXPECT_EQ(to_base64("hi"), "aGk=");
    for (std::string_view bad : {"a", "ab=c", "a===", "!abc", "=abc",
                                 "ab=="
                                 "ab=="})
        EXPECT_FALSE(from_base64(bad)) << bad;
}

} // namespace
} // namespace mimic::qmp
