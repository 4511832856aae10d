// Result<T>: how a room reports trouble that the host or the user caused.
//
// Rules
//   - Host or user trouble is a Result; our own bug is `check` (base/check.hpp); odd guest behaviour is traced
//     (trace::guest_error); a fault that the guest can see is a trap of the IR. User input never reaches a check.
//   - A message names the object and what was expected; no capital letter, no full stop.
//   - Add context where you know it with .in(...); print the chain once, at the edge.
//   - Exceptions cross neither rooms nor generated code.
//
//   Result<Header> read_header(const std::string& path);
//   auto header = TRY(read_header(path).in("qcow2 header of {}", path));
//   if (header.version > 3) return Error::unsupported("qcow2 version {}, expected 2 or 3", header.version);
#pragma once
#include "base/types.hpp"
#include <fmt/core.h>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace mimic {

// The stable kind of an error: one table maps it to an exit status, a QMP class, an NBD or virtio status.
enum class ErrorKind : u8 {
    invalid_argument,
    not_found,
    exists,
    permission,
    unsupported,
    busy,
    io,
    no_space,
    corrupt,
    out_of_memory,
    interrupted,
    timed_out,
    disconnected,
    cancelled,
};
std::string_view to_string(ErrorKind kind);

class Error {
public:
    Error(ErrorKind kind, std::string message, int host_errno = 0)
        : kind_(kind)
        , errno_(host_errno)
        , message_(std::move(message)) {}

    ErrorKind kind() const { return kind_; }
    // The host's errno behind it, 0 if there is none.
    int host_errno() const { return errno_; }
    // The whole chain, outermost context first: "open disk.img: No such file or directory".
    const std::string& message() const { return message_; }

    // Puts "context: " in front of the message.
    Error in(std::string_view context) &&;

    template <class... A>
    static Error make(ErrorKind kind, fmt::format_string<A...> f, A&&... a) {
        return Error(kind, fmt::vformat(f, fmt::make_format_args(a...)));
    }
    // From errno: the kind is chosen by the number, the message ends with its text.
    template <class... A>
    static Error from_errno(int host_errno, fmt::format_string<A...> f, A&&... a) {
        return system(host_errno, fmt::vformat(f, fmt::make_format_args(a...)));
    }
    static Error system(int host_errno, std::string what);

#define MIMIC_ERROR_KIND(name)                                                                                         \
    template <class... A>                                                                                              \
    static Error name(fmt::format_string<A...> f, A&&... a) {                                                          \
        return make(ErrorKind::name, f, std::forward<A>(a)...);                                                        \
    }
    MIMIC_ERROR_KIND(invalid_argument)
    MIMIC_ERROR_KIND(not_found)
    MIMIC_ERROR_KIND(exists)
    MIMIC_ERROR_KIND(permission)
    MIMIC_ERROR_KIND(unsupported)
    MIMIC_ERROR_KIND(busy)
    MIMIC_ERROR_KIND(io)
    MIMIC_ERROR_KIND(no_space)
    MIMIC_ERROR_KIND(corrupt)
    MIMIC_ERROR_KIND(out_of_memory)
    MIMIC_ERROR_KIND(cancelled)
#undef MIMIC_ERROR_KIND

private:
    ErrorKind kind_;
    int errno_ = 0;
    std::string message_;
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return v_.index() == 0; }
    T& operator*() & { return std::get<0>(v_); }
    const T& operator*() const& { return std::get<0>(v_); }
    T&& operator*() && { return std::get<0>(std::move(v_)); }
    T* operator->() { return &std::get<0>(v_); }
    const T* operator->() const { return &std::get<0>(v_); }
    const Error& error() const& { return std::get<1>(v_); }
    Error&& error() && { return std::get<1>(std::move(v_)); }

    // The same result with context in front of its error, if it has one.
    template <class... A>
    Result in(fmt::format_string<A...> f, A&&... a) && {
        if (*this) return std::move(*this);
        return std::get<1>(std::move(v_)).in(fmt::vformat(f, fmt::make_format_args(a...)));
    }
    // Drops the error on purpose; says so at the call.
    T value_or(T other) && { return *this ? std::get<0>(std::move(v_)) : std::move(other); }

private:
    std::variant<T, Error> v_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : e_(std::move(error)) {}

    explicit operator bool() const { return !e_; }
    void operator*() const {}
    const Error& error() const& { return *e_; }
    Error&& error() && { return *std::move(e_); }

    template <class... A>
    Result in(fmt::format_string<A...> f, A&&... a) && {
        if (*this) return {};
        return (*std::move(e_)).in(fmt::vformat(f, fmt::make_format_args(a...)));
    }
    void ignore() && {}

private:
    std::optional<Error> e_;
};

// The value of a Result, or an early return of its error. Not for coroutines: they have CO_TRY.
#define TRY(expr)                                                                                                      \
    __extension__({                                                                                                    \
        auto result_ = (expr);                                                                                         \
        if (!result_) [[unlikely]]                                                                                     \
            return std::move(result_).error();                                                                         \
        *std::move(result_);                                                                                           \
    })

} // namespace mimic
