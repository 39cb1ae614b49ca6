// How `rill top` looks: a snapshot as lines of text, for a screen of any size and for plain output. Pure.
#pragma once

#include "terminal_text.hpp"
#include "top_snapshot.hpp"
#include "top_sort.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace rill::cli {

enum class Style { plain, title, heading, busy, quiet, warning };

struct ViewLine {
    std::string text;
    Style style = Style::plain;
};

struct TopView {
    Sort sort = Sort::rate;
    std::size_t first = 0;  // how many streams are scrolled past; corrected by top_screen()
    bool stopped = false;
    bool help = false;
    bool editing = false;  // the filter
    std::string edited{};  // what has been typed of it
};

void sort_streams(std::vector<TopStream> &streams, Sort sort);

// Exactly `height` lines of exactly `width` columns.
[[nodiscard]] std::vector<ViewLine> top_screen(const TopSnapshot &snapshot, TopView &view, std::size_t width,
                                               std::size_t height, Charset charset);

// How many streams fit on such a screen.
[[nodiscard]] std::size_t page_size(std::size_t height);

// The whole table, as wide as it is.
[[nodiscard]] std::string top_table(TopSnapshot snapshot, Sort sort);

// The same as one JSON object.
[[nodiscard]] std::string top_json(TopSnapshot snapshot, Sort sort);

}  // namespace rill::cli
