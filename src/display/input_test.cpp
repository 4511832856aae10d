#include "display/input.hpp"
#include <algorithm>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <linux/input-event-codes.h>
#include <set>

namespace mimic::display {
namespace {

using Kind = InputEvent::Kind;

struct Handler : InputHandler {
    std::string_view name;
    std::vector<Kind> kinds;
    std::string& seen;
    Handler(std::string_view n, std::vector<Kind> k, std::string& s) : name(n), kinds(std::move(k)), seen(s) {}
    std::string_view input_name() const override { return name; }
    bool takes(Kind kind) const override { return std::find(kinds.begin(), kinds.end(), kind) != kinds.end(); }
    void input(const InputEvent& e) override { seen += fmt::format("{}:{} ", name, kind_names[u8(e.kind)]); }
    void input_sync() override { seen += fmt::format("{}. ", name); }
};

struct Nothing : Source {
    void refresh(Console&) override {}
};

TEST(Keys, NamesAndNumbersAreThereOnce) {
    std::set<std::string_view> names;
    std::set<u32> numbers;
    for (const Key& k : keys()) {
        EXPECT_TRUE(names.insert(k.name).second) << k.name;
        EXPECT_TRUE(!k.number || numbers.insert(k.number).second) << k.name;
        EXPECT_NE(k.code, 0) << k.name;
    }
    EXPECT_EQ(find_key("ret")->code, KEY_ENTER);
    EXPECT_EQ(find_key(0xc8)->name, "up");
    EXPECT_EQ(find_key("return"), nullptr);
    EXPECT_EQ(find_key(u32{0}), nullptr);
}

TEST(InputRouter, TheFirstThatTakesAKindGetsIt) {
    std::string seen;
    Handler keyboard("kbd", {Kind::key}, seen), mouse("mouse", {Kind::relative, Kind::button}, seen),
        tablet("tablet", {Kind::absolute, Kind::button}, seen);
    InputRouter r;
    EXPECT_FALSE(r.send(nullptr, key_event(*find_key("a"), true)));
    for (Handler* h : {&keyboard, &mouse, &tablet}) r.add(*h);
    EXPECT_TRUE(r.send(nullptr, key_event(*find_key("a"), true)));
    r.send(nullptr, relative_event(Axis::x, 3));
    r.send(nullptr, button_event(Button::left, true));
    r.sync();
    r.sync();
    EXPECT_EQ(seen, "kbd:key mouse:rel mouse:btn kbd. mouse. ");
    seen.clear();
    r.activate(tablet);
    r.send(nullptr, button_event(Button::left, false));
    EXPECT_EQ(r.mice().at(0).index, 2u);
    EXPECT_TRUE(r.mice().at(0).absolute);
    r.deactivate(tablet);
    EXPECT_EQ(r.mice().at(0).index, 1u);
    r.remove(mouse);
    r.send(nullptr, button_event(Button::left, false));
    EXPECT_EQ(seen, "tablet:btn tablet:btn ");
    EXPECT_FALSE(r.send(nullptr, relative_event(Axis::x, 3)));
}

TEST(InputRouter, AHandlerOfAConsoleIsBeforeThoseOfAll) {
    std::string seen;
    Nothing nothing;
    Consoles consoles;
    Console &first = consoles.add(nothing, "a"), &second = consoles.add(nothing, "b");
    Handler all("all", {Kind::key}, seen), own("own", {Kind::key}, seen);
    InputRouter r;
    r.add(all);
    r.add(own, &second);
    for (const Console* c : {&first, &second, static_cast<Console*>(nullptr)})
        r.send(c, key_event(*find_key("a"), true));
    EXPECT_EQ(seen, "all:key own:key all:key ");
}

} // namespace
} // namespace mimic::display
