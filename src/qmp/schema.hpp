// The schema of QMP: types, commands and events, each declared once, in one line of text. Argument checking, the list of
// commands, query-qmp-schema and the documentation are made of the declarations.
//
//   struct StatusInfo: running bool, status RunState         members; "?name" is one that may be missing, "[T]" an array
//   enum RunState: running paused shutdown                   names
//   union Backend by type: id str | file = FileData | null = Nothing
//
// A command's arguments are written like a struct's members; "..." at their end lets more through (device_add). Source: QEMU
// QMP reference manual and its chapter on introspection; names and shapes are the manual's, in the parts that are there.
#pragma once
#include "base/io/task.hpp"
#include "base/json.hpp"
#include <map>
#include <memory>
#include <span>

namespace mimic::qmp {

class Server;
class Arguments;

struct Command {
    std::string_view name, arguments, returns, help; // returns: a type; empty: an empty object
    Result<Json> (*run)(Server& s, const Arguments& a) = nullptr;
    bool out_of_band = false; // exec-oob may run it
    // In place of `run` for what has to wait; the arguments live until the task ends.
    io::Task<Result<Json>> (*task)(Server& s, const Arguments& a) = nullptr;
};
struct EventInfo {
    std::string_view name, data, help;
};
// Commands that belong together: a file, with the declarations of their types.
struct Family {
    std::string_view types;
    std::span<const Command> commands;
    std::span<const EventInfo> events = {};
};

class Schema {
public:
    struct Type;
    struct Member {
        std::string name;
        const Type* type = nullptr;
        bool optional = false;
    };
    struct Type {
        enum class Kind : u8 { string, integer, number, boolean, any, null, enumeration, array, object };
        Kind kind = Kind::any;
        std::string name;
        std::string_view json;       // of built-in ones: "string", "int", ...
        u64 low = 0, high = ~u64{0}; // of integers without a sign; signed when `negative`
        bool negative = false;
        std::vector<std::string> names; // enumeration
        std::vector<Member> members;    // object
        bool open = false;              // object: other members pass
        const Type* element = nullptr;  // array
        std::string tag;                // union: the member that chooses
        std::vector<std::pair<std::string, const Type*>> variants;
    };

    // A mistake in a declaration is our bug, and a check.
    explicit Schema(std::span<const Family* const> families);
    Schema(const Schema&) = delete;

    const Command* find(std::string_view name) const;
    const std::vector<const Command*>& commands() const { return commands_; } // sorted
    const std::vector<const EventInfo*>& events() const { return events_; }
    const Type& arguments(const Command& c) const { return *arguments_.at(c.name); }
    // Is `value` one of `type`? Errors name the member as QMP's do: "Parameter 'backend.type' is missing".
    Result<void> check(const Json& value, const Type& type, const std::string& path = {}) const;
    // Texts of a command line ("on", "12") become what their members' types are; what does not fit stays for check().
    void convert(Json& value, const Type& type) const;
    const Type* find_type(std::string_view name) const;
    // What query-qmp-schema answers.
    Json introspect() const;
    // A table of commands in Markdown.
    std::string documentation() const;

private:
    void declare(std::string_view text);
    void fill(std::string_view text);
    const Type* use(std::string_view name);
    void members(std::string_view text, Type& t);
    Type* make(std::string name, Type::Kind kind);
    std::map<std::string, std::unique_ptr<Type>, std::less<>> types_;
    std::vector<Type*> order_;
    std::vector<const Command*> commands_;
    std::map<std::string_view, const Type*> arguments_, results_, event_data_;
    std::vector<const EventInfo*> events_;
};

// The arguments of one call, checked by the schema: what is asked for is there and has its type.
class Arguments {
public:
    explicit Arguments(const Json& object) : object_(object) {}
    bool has(std::string_view name) const { return object_.find(name); }
    std::string text(std::string_view name, std::string_view otherwise = {}) const;
    u64 number(std::string_view name, u64 otherwise = 0) const;
    bool flag(std::string_view name, bool otherwise = false) const;
    const Json& value(std::string_view name) const;
    const Json& all() const { return object_; }

private:
    const Json& object_;
};

} // namespace mimic::qmp
