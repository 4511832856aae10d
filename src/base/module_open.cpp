// Apart from module.cpp: only a program that calls enable() has dlopen() linked in, which a static one must not have.
#include "base/module.hpp"
#include "base/module_state.hpp"
#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>
#include <vector>

namespace mimic::modules {

namespace {

std::vector<std::string> folders() {
    if (const char* set = std::getenv("MIMIC_MODULES")) return {set};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    if (n <= 0 || n == ssize_t(sizeof self)) return {};
    std::string folder(self, size_t(n));
    folder.resize(folder.rfind('/') + 1);
    return {folder + "modules", folder + "../lib/mimic"};
}

Result<const Head*> open_file(const std::string& path) {
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!object) return Error::unsupported("{}", dlerror());
    auto* head = static_cast<const Head*>(dlsym(object, "mimic_module"));
    if (!head) return Error::unsupported("{} is no module", path);
    return head;
}

Result<const Head*> load(std::string_view name, unsigned revision) {
    std::string tried;
    for (auto& folder : folders()) {
        std::string path = fmt::format("{}/mimic-{}.so", folder, name);
        if (access(path.c_str(), F_OK) != 0) {
            tried += (tried.empty() ? "" : " and ") + path;
            continue;
        }
        const Head* head = TRY(open_file(path).in("module '{}'", name));
        if (head->name != name || head->revision != revision)
            return Error::unsupported("module '{}' in {} belongs to another version of the program", name, path);
        return head;
    }
    return Error::unsupported("module '{}' is not installed (looked for {})", name, tried);
}

} // namespace

void enable() { state().load = load; }

std::vector<const Head*> list(std::vector<std::string>& broken) {
    std::vector<const Head*> all;
    for (auto& folder : folders()) {
        std::error_code none;
        for (auto& entry : std::filesystem::directory_iterator(folder, none)) {
            if (entry.path().extension() != ".so") continue;
            auto head = open_file(entry.path());
            if (head)
                all.push_back(*head);
            else
                broken.push_back(head.error().message());
        }
    }
    std::ranges::sort(all, {}, [](const Head* h) { return std::string_view(h->name); });
    return all;
}

} // namespace mimic::modules
