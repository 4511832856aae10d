#include "crypto/authz.hpp"
#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <vector>

namespace mimic::tls {

namespace {

constexpr std::string_view simple_type = "authz-simple", list_type = "authz-list", file_type = "authz-listfile";

// A property's text, from those that are left. Errors: it is there and no text.
Result<std::string> take_text(std::string_view owner, Json& from, std::string_view name,
                              std::string_view otherwise = {}) {
    Json value = from.take(name);
    if (value.is_null()) return std::string(otherwise);
    if (value.string()) return *value.string();
    return Error::invalid_argument("{}: '{}' expects a text", owner, name);
}

Result<void> nothing_left(std::string_view owner, const Json& from) {
    if (from.members()->empty()) return {};
    return Error::invalid_argument("{}: '{}' is not known", owner, from.members()->front().first);
}

Result<bool> parse_policy(std::string_view owner, std::string_view word) {
    if (word == "allow" || word == "deny") return word == "allow";
    return Error::invalid_argument("{}: policy '{}', expected allow or deny", owner, word);
}

struct Rule {
    std::string match;
    bool allow = false, glob = false;
};

// `*` stands for any characters, `?` for one; nothing else is special, as names hold backslashes and brackets.
bool matches(std::string_view pattern, std::string_view text) {
    size_t p = 0, t = 0, star = std::string_view::npos, tried = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            tried = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++, t++;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++tried;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// The first rule that matches decides, else the policy.
struct Rules {
    std::vector<Rule> list;
    bool allow = false;

    bool allows(const std::string& identity) const {
        for (auto& r : list)
            if (r.glob ? matches(r.match, identity) : r.match == identity) return r.allow;
        return allow;
    }
};

Result<Rule> parse_rule(const std::string& owner, Json one) {
    if (!one.members()) return Error::invalid_argument("{}: a rule expects an object", owner);
    Rule r;
    r.match = TRY(take_text(owner, one, "match"));
    if (r.match.empty()) return Error::invalid_argument("{}: a rule expects 'match'", owner);
    std::string policy = TRY(take_text(owner, one, "policy"));
    r.allow = TRY(parse_policy(owner, policy));
    const std::string format = TRY(take_text(owner, one, "format", "exact"));
    r.glob = std::string_view(format) == "glob";
    if (!r.glob && std::string_view(format) != "exact")
        return Error::invalid_argument("{}: format '{}' of a rule, expected exact or glob", owner, format);
    TRY(nothing_left(owner, one));
    return r;
}

// {"rules": [{"match", "policy", "format"}], "policy"}
Result<Rules> parse_rules(const std::string& owner, Json from) {
    if (!from.members()) return Error::invalid_argument("{}: expected an object with 'rules' and 'policy'", owner);
    Rules rules;
    std::string policy = TRY(take_text(owner, from, "policy", "deny"));
    rules.allow = TRY(parse_policy(owner, policy));
    Json list = from.take("rules");
    if (!list.is_null() && !list.items()) return Error::invalid_argument("{}: 'rules' expects a list", owner);
    if (list.items())
        for (auto& one : *list.items()) rules.list.push_back(TRY(parse_rule(owner, one)));
    TRY(nothing_left(owner, from));
    return rules;
}

Result<Rules> read_rules(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream bytes;
    if (!in || !(bytes << in.rdbuf())) return Error::from_errno(errno ? errno : EIO, "Unable to read '{}'", path);
    Json parsed = TRY(Json::parse(bytes.str()).in("rules in '{}'", path));
    return parse_rules(fmt::format("rules in '{}'", path), std::move(parsed));
}

class Simple final : public Authorization {
public:
    explicit Simple(std::string identity) : identity_(std::move(identity)) {}
    Result<bool> allows(const std::string& identity) const override { return identity == identity_; }

private:
    std::string identity_;
};

class List final : public Authorization {
public:
    explicit List(Rules rules) : rules_(std::move(rules)) {}
    Result<bool> allows(const std::string& identity) const override { return rules_.allows(identity); }

private:
    Rules rules_;
};

// refresh: what the file says when a client comes, not what it said at the begin.
class ListFile final : public Authorization {
public:
    ListFile(std::string path, Rules rules, bool refresh)
        : path_(std::move(path))
        , rules_(std::move(rules))
        , refresh_(refresh) {}
    Result<bool> allows(const std::string& identity) const override {
        if (!refresh_) return rules_.allows(identity);
        Rules now = TRY(read_rules(path_));
        return now.allows(identity);
    }

private:
    std::string path_;
    Rules rules_;
    bool refresh_;
};

} // namespace

bool is_authorization(std::string_view type) { return type == simple_type || type == list_type || type == file_type; }

Result<std::shared_ptr<Authorization>> make_authorization(std::string_view type, const Json& properties) {
    std::string owner = fmt::format("object '{}'", type);
    Json rest = properties;
    if (type == list_type) {
        Rules rules = TRY(parse_rules(owner, std::move(rest)));
        return std::shared_ptr<Authorization>(std::make_shared<List>(std::move(rules)));
    }
    if (type == simple_type) {
        std::string identity = TRY(take_text(owner, rest, "identity"));
        if (identity.empty()) return Error::invalid_argument("{} expects identity=, a distinguished name", owner);
        TRY(nothing_left(owner, rest));
        return std::shared_ptr<Authorization>(std::make_shared<Simple>(std::move(identity)));
    }
    std::string path = TRY(take_text(owner, rest, "filename"));
    if (path.empty()) return Error::invalid_argument("{} expects filename=", owner);
    Json given = rest.take("refresh");
    bool refresh = true;
    if (const std::string* word = given.string(); given.boolean())
        refresh = *given.boolean();
    else if (word && (*word == "off" || *word == "no"))
        refresh = false;
    else if (!given.is_null() && !(word && (*word == "on" || *word == "yes")))
        return Error::invalid_argument("{}: 'refresh' expects on or off", owner);
    TRY(nothing_left(owner, rest));
    Rules rules = TRY(read_rules(path));
    return std::shared_ptr<Authorization>(std::make_shared<ListFile>(path, std::move(rules), refresh));
}

} // namespace mimic::tls
