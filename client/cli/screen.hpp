// A screen of lines on the terminal, and keys, by ncurses.
//
// Situations it must survive: a terminal that cannot move its cursor (none() is true), one without colours or with
// NO_COLOR set, a change of size, Ctrl-Z and fg, the end of the program by an exception (the terminal is restored).
// Thread-safety: one thread; no other may receive signals, since ncurses handles SIGWINCH and SIGTSTP.
#pragma once

#include "terminal_text.hpp"
#include "top_view.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace rill::cli {

class Screen {
public:
    enum class Key { none, letter, enter, escape, backspace, up, down, page_up, page_down, home, end, resize };
    struct Pressed {
        Key key = Key::none;
        std::string letter{};  // UTF-8
    };

    Screen();
    Screen(const Screen &) = delete;
    Screen &operator=(const Screen &) = delete;
    ~Screen();

    // Standard input and output are no terminal on which lines can be drawn. Nothing else may be called then.
    [[nodiscard]] bool none() const noexcept { return none_; }
    [[nodiscard]] Charset charset() const noexcept { return charset_; }
    [[nodiscard]] std::size_t width() const;
    [[nodiscard]] std::size_t height() const;
    void draw(const std::vector<ViewLine> &lines);
    // A key that has been pressed; does not wait.
    [[nodiscard]] Pressed key();

private:
    bool none_ = true;
    bool colours_ = false;
    Charset charset_ = Charset::utf8;
};

}  // namespace rill::cli
