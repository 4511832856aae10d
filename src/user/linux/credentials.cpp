#include "user/linux/credentials.hpp"
#include <cerrno>
#include <charconv>
#include <fmt/format.h>

namespace mimic::user {
namespace {

constexpr u32 unchanged = ~0u;

bool among(const Ids& ids, u32 id) { return id == ids.real || id == ids.effective || id == ids.saved; }

std::string join(std::initializer_list<u32> values) { return fmt::format("{}", fmt::join(values, ":")); }

bool numbers(std::string_view text, std::vector<u32>& to) {
    to.clear();
    while (!text.empty()) {
        u32 value;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc()) return false;
        to.push_back(value);
        text.remove_prefix(size_t(end - text.data()));
        if (text.empty()) return true;
        if (text[0] != ':' || text.size() == 1) return false;
        text.remove_prefix(1);
    }
    return true;
}

bool four(std::string_view text, Ids& ids) {
    std::vector<u32> v;
    if (!numbers(text, v) || v.size() != 4) return false;
    ids = {v[0], v[1], v[2], v[3]};
    return true;
}

} // namespace

std::string Credentials::text() const {
    std::string list = fmt::format("{}", fmt::join(groups, ":"));
    return join({uid.real, uid.effective, uid.saved, uid.fs}) + "/" +
           join({gid.real, gid.effective, gid.saved, gid.fs}) + "/" + list;
}

bool Credentials::parse(std::string_view text) {
    size_t first = text.find('/'), second = text.find('/', first + 1);
    if (first == std::string::npos || second == std::string::npos) return false;
    return four(text.substr(0, first), uid) && four(text.substr(first + 1, second - first - 1), gid) &&
           numbers(text.substr(second + 1), groups);
}

i64 set_id(Ids& ids, u32 id, bool privileged) {
    if (id == unchanged) return -EINVAL;
    if (privileged)
        ids = {id, id, id, id};
    else if (id == ids.real || id == ids.saved)
        ids.effective = ids.fs = id;
    else
        return -EPERM;
    return 0;
}

i64 set_re_ids(Ids& ids, u32 real, u32 effective, bool privileged) {
    Ids next = ids;
    if (real != unchanged) {
        if (!privileged && real != ids.real && real != ids.effective) return -EPERM;
        next.real = real;
    }
    if (effective != unchanged) {
        if (!privileged && !among(ids, effective)) return -EPERM;
        next.effective = effective;
    }
    if (real != unchanged || (effective != unchanged && effective != ids.real)) next.saved = next.effective;
    next.fs = next.effective;
    ids = next;
    return 0;
}

i64 set_res_ids(Ids& ids, u32 real, u32 effective, u32 saved, bool privileged) {
    for (u32 id : {real, effective, saved})
        if (id != unchanged && !privileged && !among(ids, id)) return -EPERM;
    if (real != unchanged) ids.real = real;
    if (effective != unchanged) ids.effective = effective;
    if (saved != unchanged) ids.saved = saved;
    ids.fs = ids.effective;
    return 0;
}

u32 set_fs_id(Ids& ids, u32 id, bool privileged) {
    u32 old = ids.fs;
    if (id != unchanged && (privileged || among(ids, id) || id == ids.fs)) ids.fs = id;
    return old;
}

} // namespace mimic::user
