// Input: keys, buttons and movements of people, and which device gets them. Those who take input are handlers of some kinds of
// events; the first one in the list that takes an event's kind gets it, those bound to the event's console before all others. A
// handler comes to the front when it is activated: a device does so when its driver is ready.
//
//   class Keyboard : public Device, InputHandler { ... };    machine().input().router().add(*this);
//   router.send(console, key_event(*find_key("a"), true));   router.sync();
//
// A router belongs to a machine and is called inside its context.
#pragma once
#include "base/types.hpp"
#include "display/console.hpp"

namespace mimic::display {

struct Key {
    std::string_view name; // QKeyCode
    u16 code;              // Linux's KEY_...
    u8 number;             // of scan code set 1; 0: none
};
std::span<const Key> keys();
const Key* find_key(std::string_view name); // null: none
const Key* find_key(u32 number);

enum class Button : u8 { left, middle, right, wheel_up, wheel_down, side, extra, wheel_left, wheel_right, touch };
inline constexpr std::string_view button_names[] = {"left", "middle", "right",      "wheel-up",    "wheel-down",
                                                    "side", "extra",  "wheel-left", "wheel-right", "touch"};
enum class Axis : u8 { x, y };
inline constexpr std::string_view axis_names[] = {"x", "y"};
// Absolute positions are 0 (left, top) to this (right, bottom).
inline constexpr i32 absolute_max = 0x7fff;

struct InputEvent {
    enum class Kind : u8 { key, button, relative, absolute };
    Kind kind = Kind::key;
    const Key* key = nullptr;
    Button button = Button::left;
    Axis axis = Axis::x;
    bool down = false; // key, button
    i32 value = 0;     // relative, absolute
};
inline constexpr std::string_view kind_names[] = {"key", "btn", "rel", "abs"};
inline InputEvent key_event(const Key& key, bool down) {
    return {.kind = InputEvent::Kind::key, .key = &key, .down = down};
}
inline InputEvent button_event(Button button, bool down) {
    return {.kind = InputEvent::Kind::button, .button = button, .down = down};
}
inline InputEvent relative_event(Axis axis, i32 by) {
    return {.kind = InputEvent::Kind::relative, .axis = axis, .value = by};
}
inline InputEvent absolute_event(Axis axis, i32 to) {
    return {.kind = InputEvent::Kind::absolute, .axis = axis, .value = to};
}

class InputHandler {
public:
    virtual ~InputHandler() = default;
    virtual std::string_view input_name() const = 0; // for people
    virtual bool takes(InputEvent::Kind kind) const = 0;
    virtual void input(const InputEvent& event) = 0;
    // Those since the last one belong together.
    virtual void input_sync() = 0;
};

class InputRouter {
public:
    // console: it takes events of that one only; null: of all.
    void add(InputHandler& handler, const Console* console = nullptr);
    void remove(InputHandler& handler);
    // To the front of the list, and to its end.
    void activate(InputHandler& handler);
    void deactivate(InputHandler& handler);

    // Who gets such events of the console (null: of none); null: nobody.
    InputHandler* handler(const Console* console, InputEvent::Kind kind) const;
    // False: nobody takes it.
    bool send(const Console* console, const InputEvent& event);
    void sync();

    // Handlers that move a pointer, those that get events first.
    struct Mouse {
        u32 index = 0; // by which people choose it
        InputHandler* handler = nullptr;
        bool absolute = false;
    };
    std::vector<Mouse> mice() const;

private:
    struct Entry {
        InputHandler* handler = nullptr;
        const Console* console = nullptr;
        u32 index = 0;
        bool told = false; // since the last sync
    };
    std::vector<Entry>::iterator find(const InputHandler& handler);
    std::vector<Entry> entries_;
    u32 next_index_ = 0;
};

} // namespace mimic::display
