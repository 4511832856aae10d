// Taking the options of a back end out of their list.
#pragma once
#include "chardev/open.hpp"
#include <optional>

namespace mimic::chardev {

class Options {
public:
    Options(std::string id, const OptionList& list) : id_(std::move(id)), list_(list), used_(list.size()) {}
    const std::string& id() const { return id_; }
    std::string text(std::string_view name, std::string_view otherwise = {});
    bool flag(std::string_view name, bool otherwise);
    u64 number(std::string_view name, u64 otherwise, u64 low, u64 high);
    bool has(std::string_view name) const;
    // The first trouble, or an option that nobody took.
    Result<void> finish() const;

private:
    const std::string* take(std::string_view name);
    void fail(std::string_view name, std::string_view value, std::string_view expected);
    std::string id_;
    const OptionList& list_;
    std::vector<bool> used_;
    std::optional<Error> error_;
    std::vector<std::string_view> asked_;
};

using Maker = Result<std::unique_ptr<Chardev>> (*)(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_null(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_ringbuf(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_file(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_pipe(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_pty(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_socket(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_stdio(OpenContext&, Options&);
Result<std::unique_ptr<Chardev>> open_udp(OpenContext&, Options&);

} // namespace mimic::chardev
