// `mimic run` as a program of its own: run_main with the word "run" taken off, if it is there.
#include "user/run.hpp"
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    std::vector<std::string_view> words(argv + 1, argv + argc);
    if (!words.empty() && words.front() == "run") words.erase(words.begin());
    return mimic::user::run_main(words);
}
