#include "app/system/options.hpp"

int main(int argc, char** argv) {
    std::vector<std::string_view> words(argv + 1, argv + argc);
    return mimic::app::system_main(argc ? argv[0] : "mimic-system", words);
}
