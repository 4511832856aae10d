// Keys and pointers. QEMU QMP reference manual, "Input".
#include "display/input.hpp"
#include "monitor/commands.hpp"
#include "monitor/display.hpp"
#include <algorithm>

namespace mimic::monitor {

using display::InputEvent, devices::InputQueue;

namespace {

// The machine's context is entered from outside of it.
template <class F>
void inside(Monitor& m, F f) {
    m.machine().arrive(devices::Port::command, m.machine().root(), f);
}

Result<void> check_running(Monitor& m) {
    if (m.run().running()) return {};
    return Error::invalid_argument("VM not running");
}

} // namespace

Result<void> send_keys(Monitor& m, std::span<const display::Key* const> keys, u64 milliseconds) {
    using Step = InputQueue::Step;
    constexpr u64 longest = 60 * 60 * 1000;
    TRY(check_running(m));
    if (milliseconds > longest)
        return Error::invalid_argument("Parameter 'hold-time': {}, expected at most {} milliseconds", milliseconds,
                                       longest);
    std::vector<Step> steps;
    auto add = [&](const display::Key* key, bool down) {
        steps.push_back({.event = display::key_event(*key, down)});
        steps.push_back({.kind = Step::Kind::sync});
    };
    const Step delay{.kind = Step::Kind::delay, .nanoseconds = milliseconds * 1000000};
    for (const display::Key* key : keys) add(key, true);
    steps.push_back(delay);
    for (size_t i = keys.size(); i-- > 0;) add(keys[i], false);
    steps.push_back(delay);
    bool taken = false;
    inside(m, [&] { taken = m.machine().input().add(steps); });
    if (!taken) return Error::busy("too many keys wait to be pressed");
    return {};
}

Result<void> send_input(Monitor& m, const display::Console* console, std::span<const InputEvent> events) {
    TRY(check_running(m));
    const InputEvent* refused = nullptr;
    inside(m, [&] {
        display::InputRouter& router = m.machine().input().router();
        for (const InputEvent& e : events) {
            if (!router.send(console, e)) {
                refused = &e;
                break;
            }
        }
        router.sync();
    });
    if (refused)
        return Error::invalid_argument("Input handler not found for event type {}",
                                       display::kind_names[u8(refused->kind)]);
    return {};
}

namespace {

const std::string& text(const Json& j, std::string_view name) { return *j.find(name)->string(); }

// KeyValue: a name, or the number that keyboards of set 1 send.
Result<const display::Key*> key_of(const Json& value) {
    const Json& data = *value.find("data");
    if (text(value, "type") == "qcode") {
        if (const display::Key* key = display::find_key(*data.string())) return key;
        return Error::invalid_argument("key '{}' cannot be pressed", *data.string());
    }
    u64 number = 0;
    const display::Key* key = data.get(number) && number <= 0xff ? display::find_key(u32(number)) : nullptr;
    if (key) return key;
    return Error::invalid_argument("there is no key with the number {}, expected one of scan code set 1", data.dump());
}

template <class E>
E choice(const Json& j, std::string_view name, std::span<const std::string_view> names) {
    return E(std::find(names.begin(), names.end(), text(j, name)) - names.begin());
}

Result<InputEvent> event_of(const Json& j) {
    const Json& data = *j.find("data");
    const std::string& type = text(j, "type");
    if (type == "key") return display::key_event(*TRY(key_of(*data.find("key"))), *data.find("down")->boolean());
    if (type == "btn")
        return display::button_event(choice<display::Button>(data, "button", display::button_names),
                                     *data.find("down")->boolean());
    i64 value = 0;
    const bool absolute = type == "abs";
    const i64 low = absolute ? 0 : -(i64{1} << 31), high = absolute ? display::absolute_max : (i64{1} << 31) - 1;
    if (!data.find("value")->get(value) || value < low || value > high)
        return Error::invalid_argument("Parameter 'value': {}, expected {} to {}", data.find("value")->dump(), low,
                                       high);
    const auto axis = choice<display::Axis>(data, "axis", display::axis_names);
    return absolute ? display::absolute_event(axis, i32(value)) : display::relative_event(axis, i32(value));
}

Result<Json> send_key(Monitor& m, const Arguments& a) {
    std::vector<const display::Key*> keys;
    for (const Json& value : *a.value("keys").items()) keys.push_back(TRY(key_of(value)));
    i64 hold = default_hold;
    if (a.has("hold-time") && (!a.value("hold-time").get(hold) || hold < 0))
        return Error::invalid_argument("Parameter 'hold-time': {}, expected milliseconds", a.value("hold-time").dump());
    TRY(send_keys(m, keys, u64(hold)));
    return Json::object();
}

Result<Json> input_send_event(Monitor& m, const Arguments& a) {
    std::optional<std::string> device;
    std::optional<u64> head;
    if (a.has("device")) device = a.text("device");
    if (a.has("head")) head = a.number("head");
    display::Console* console = device || head ? TRY(find_console(m, device, head)) : nullptr;
    std::vector<InputEvent> events;
    for (const Json& j : *a.value("events").items()) events.push_back(TRY(event_of(j)));
    TRY(send_input(m, console, events));
    return Json::object();
}

Result<Json> query_mice(Monitor& m, const Arguments&) {
    std::vector<display::InputRouter::Mouse> mice;
    std::vector<std::string> names;
    inside(m, [&] {
        mice = m.machine().input().router().mice();
        for (const auto& mouse : mice) names.emplace_back(mouse.handler->input_name());
    });
    Json list = Json::array();
    for (size_t i = 0; i < mice.size(); i++) {
        Json j = Json::object();
        j.set("name", names[i]);
        j.set("index", mice[i].index);
        j.set("current", i == 0);
        j.set("absolute", mice[i].absolute);
        list.push(std::move(j));
    }
    return list;
}

constexpr Command commands[] = {
    {"query-mice", "", "[MouseInfo]", "pointers; the first one has the movements", of<query_mice>},
    {"send-key", "keys [KeyValue], ?hold-time int", "",
     "presses keys together, for milliseconds of the guest's time (100)", of<send_key>},
    {"input-send-event", "?device str, ?head int, events [InputEvent]", "",
     "events of keys, buttons and movements at one moment", of<input_send_event>},
};

} // namespace

constinit const Family input_family{
    R"(
struct MouseInfo: name str, index int, current bool, absolute bool
enum KeyValueKind: number qcode
struct IntWrapper: data int
struct QKeyCodeWrapper: data QKeyCode
union KeyValue by type: type KeyValueKind | number = IntWrapper | qcode = QKeyCodeWrapper
enum InputButton: left middle right wheel-up wheel-down side extra wheel-left wheel-right touch
enum InputAxis: x y
enum InputEventKind: key btn rel abs
struct InputKeyEvent: key KeyValue, down bool
struct InputBtnEvent: button InputButton, down bool
struct InputMoveEvent: axis InputAxis, value int
struct InputKeyEventWrapper: data InputKeyEvent
struct InputBtnEventWrapper: data InputBtnEvent
struct InputMoveEventWrapper: data InputMoveEvent
union InputEvent by type: type InputEventKind | key = InputKeyEventWrapper | btn = InputBtnEventWrapper | rel = InputMoveEventWrapper | abs = InputMoveEventWrapper
)"
    "enum QKeyCode: unmapped"
#define KEY(name, code, number) " " #name
#include "display/keys.def"
#undef KEY
    "\n",
    commands};

} // namespace mimic::monitor
