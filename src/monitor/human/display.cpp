// HMP: screens, keys and pointers. QEMU documentation, "QEMU Monitor".
#include "monitor/display.hpp"
#include "monitor/human/human.hpp"
#include <charconv>

namespace mimic::monitor {

namespace {

using display::InputEvent;

Result<void> dump_screen(HumanCall& c) {
    ScreendumpRequest request;
    request.path = c.word();
    if (request.path.empty()) return Error::invalid_argument("screendump: 'filename' is missing");
    std::string word = c.word();
    if (word == "-f") {
        const std::string format = c.word();
        if (format != "ppm" && format != "png")
            return Error::invalid_argument("screendump -f: '{}', expected ppm or png", format);
        request.png = format == "png";
        word = c.word();
    }
    if (!word.empty()) request.device = word;
    if (!c.rest().empty()) request.head = TRY(c.expression());
    return c.m.loop().run(screendump(c.m, std::move(request)));
}

// "ctrl-alt-f1": names and numbers (0x1e) with hyphens between them.
Result<std::vector<const display::Key*>> parse_keys(std::string_view text) {
    std::vector<const display::Key*> keys;
    while (!text.empty()) {
        const std::string_view name = text.substr(0, text.find('-'));
        text = name.size() == text.size() ? std::string_view() : text.substr(name.size() + 1);
        const display::Key* key = display::find_key(name == "<" ? "less" : name);
        if (u32 number = 0; !key && name.starts_with("0x")) {
            auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), number, 16);
            if (error == std::errc() && end == name.data() + name.size()) key = display::find_key(number);
        }
        if (!key) return Error::invalid_argument("invalid parameter: {}, expected the name of a key", name);
        keys.push_back(key);
    }
    if (keys.empty()) return Error::invalid_argument("sendkey: expected keys like ctrl-alt-delete");
    return keys;
}

Result<void> send_key(HumanCall& c) {
    const auto keys = TRY(parse_keys(c.word()));
    const u64 hold = c.rest().empty() ? default_hold : TRY(c.expression());
    return send_keys(c.m, keys, hold);
}

// The wheel is a button that is pressed a notch.
void turn_wheel(std::vector<InputEvent>& events, i64 notches) {
    const auto button = notches > 0 ? display::Button::wheel_up : display::Button::wheel_down;
    for (i64 i = std::min<i64>(std::abs(notches), 100); i > 0; i--)
        for (bool down : {true, false}) events.push_back(display::button_event(button, down));
}

Result<void> mouse_move(HumanCall& c) {
    i64 by[3] = {};
    for (u32 i = 0; i < 3; i++) {
        const std::string word = c.word();
        if (word.empty() && i == 2) break;
        auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), by[i]);
        if (error != std::errc() || end != word.data() + word.size() || by[i] < -display::absolute_max ||
            by[i] > display::absolute_max)
            return Error::invalid_argument("mouse_move: '{}', expected DX DY [DZ]", word);
    }
    std::vector<InputEvent> events{display::relative_event(display::Axis::x, i32(by[0])),
                                   display::relative_event(display::Axis::y, i32(by[1]))};
    turn_wheel(events, by[2]);
    return send_input(c.m, nullptr, events);
}

Result<void> mouse_button(HumanCall& c) {
    constexpr display::Button buttons[] = {display::Button::left, display::Button::middle, display::Button::right};
    const u64 state = TRY(c.expression());
    std::vector<InputEvent> events;
    for (u32 i = 0; i < std::size(buttons); i++)
        if ((state ^ c.m.mouse_buttons) >> i & 1) events.push_back(display::button_event(buttons[i], state >> i & 1));
    TRY(send_input(c.m, nullptr, events));
    c.m.mouse_buttons = u32(state);
    return {};
}

Result<void> mouse_set(HumanCall& c) {
    const u64 index = TRY(c.expression());
    bool found = false;
    devices::Machine& machine = c.m.machine();
    machine.arrive(devices::Port::command, machine.root(), [&] {
        display::InputRouter& router = machine.input().router();
        for (const auto& mouse : router.mice())
            if (mouse.index == index) {
                router.activate(*mouse.handler);
                found = true;
            }
    });
    if (!found) return Error::not_found("Mouse at index '{}' not found", index);
    return {};
}

constexpr HumanCommand commands[] = {
    {"screendump", "filename [-f format] [device [head]]", "writes what a screen shows, as ppm or png", dump_screen},
    {"sendkey", "keys [hold_ms]", "presses keys: ctrl-alt-f1, or 0x1e by number", send_key},
    {"mouse_move", "dx dy [dz]", "moves the pointer; dz: turns the wheel", mouse_move},
    {"mouse_button", "state", "presses buttons: 1 left, 2 middle, 4 right", mouse_button},
    {"mouse_set", "index", "chooses the pointer of `info mice` that gets movements", mouse_set},
};

} // namespace

Result<void> show_mice(HumanCall& c) {
    Json list = TRY(c.m.execute("query-mice"));
    if (list.items()->empty()) c.print("No mouse devices connected\n");
    for (const Json& j : *list.items()) {
        const bool current = *j.find("current")->boolean(), absolute = *j.find("absolute")->boolean();
        c.print("{} Mouse #{}: {}{}\n", current ? '*' : ' ', j.find("index")->dump(), *j.find("name")->string(),
                absolute ? " (absolute)" : "");
    }
    return {};
}

constinit const std::span<const HumanCommand> display_commands = commands;

} // namespace mimic::monitor
