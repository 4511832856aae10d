// `mimic-system`: the machines, and the image tools for what needs modules (base/module.hpp), which `mimic` hands over here.
#include "app/img/img.hpp"
#include "app/io/io.hpp"
#include "app/nbd/nbd.hpp"
#include "app/storage/storage.hpp"
#include "app/system/options.hpp"
#include "app/system/standalone/features.hpp"
#include "app/tool/name.hpp"
#include "base/module.hpp"

int main(int argc, char** argv) {
    using namespace mimic;
    constexpr std::pair<std::string_view, int (*)(std::span<const std::string_view>)> tools[] = {
        {"img", img::img_main},
        {"nbd", nbd::nbd_main},
        {"io", io_tool::io_main},
        {"storage-daemon", storage_daemon::storage_daemon_main},
    };
    std::vector<std::string_view> words(argv + 1, argv + argc);
    modules::enable();
    for (auto& [name, run] : tools)
        if (!words.empty() && words[0] == name) {
            // `mimic` hands over under the name of the link that it was started by.
            std::string_view self = argv[0];
            self = self.substr(self.rfind('/') + 1);
            if (self != "mimic-system") tool::set_link_name(self);
            return run(std::span<const std::string_view>(words).subspan(1));
        }
    if (!words.empty() && words[0] == "--features") return app::print_features();
    return app::system_main(argc ? argv[0] : "mimic-system", words);
}
