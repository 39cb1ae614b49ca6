// By what `rill top` sorts its streams. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace rill::cli {

enum class Sort { rate, name, head, readers, last };

inline constexpr struct {
    Sort sort;
    const char *name;
    char key;
} kSorts[] = {{Sort::rate, "rate", 'r'},
              {Sort::name, "name", 'n'},
              {Sort::head, "head", 'h'},
              {Sort::readers, "readers", 'w'},
              {Sort::last, "last", 'l'}};

[[nodiscard]] inline std::optional<Sort> parse_sort(std::string_view text) {
    for (const auto &known : kSorts)
        if (text == known.name)
            return known.sort;
    return std::nullopt;
}

}  // namespace rill::cli
