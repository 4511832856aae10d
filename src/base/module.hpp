// Modules: shared objects that hold what needs a heavy library (TLS, curl). They are opened on first use, so that a program
// that needs none starts as if they were not there. A module gives one interface, a table of functions of its subject
// (crypto/tls.hpp); it uses nothing of the program that opens it, so either may be linked as it likes.
//
//   TRY(const tls::Module* m = open_module<tls::Module>());
//
// The static program cannot open shared objects: it has a hand-over instead, which goes on as its dynamic twin.
#pragma once
#include "base/result.hpp"
#include <functional>
#include <string>
#include <vector>

namespace mimic {

namespace modules {

// What a module's symbol `mimic_module` points to. Interfaces begin with one.
struct Head {
    const char* name;
    unsigned revision;   // of the interface
    const char* library; // the library behind it and its version, for people
};

// Modules are opened from now on: in $MIMIC_MODULES, beside the program in modules/, or in ../lib/mimic.
void enable();
// Called in place of opening one; it returns if it cannot help. At most until no_return(): what a program has begun by then
// cannot be done again.
void set_hand_over(std::function<void()> hand_over);
void no_return();
// Of a program that might need modules later, when it is too late: calls the hand-over, if there is one.
void hand_over();

// All that are there, opened; for people who ask what the program can do. Broken ones are named in `broken`.
std::vector<const Head*> list(std::vector<std::string>& broken);

// Errors: it is not there, is another revision's, or cannot be opened here. All name it.
Result<const Head*> open(std::string_view name, unsigned revision);

} // namespace modules

// T: an interface with `static constexpr std::string_view name` and `revision`, and a Head as its first member.
template <class T>
Result<const T*> open_module() {
    auto head = modules::open(T::name, T::revision);
    if (!head) return std::move(head).error();
    return reinterpret_cast<const T*>(*head);
}

} // namespace mimic
