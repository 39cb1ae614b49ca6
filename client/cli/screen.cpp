// See screen.hpp.
#include "screen.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <string_view>

#include <clocale>
#include <cwchar>

#include <langinfo.h>
#include <unistd.h>

#define NCURSES_NOMACROS
#define NCURSES_WIDECHAR 1
#include <curses.h>

namespace rill::cli {
namespace {

bool no_colour() {
    const char *const value = std::getenv("NO_COLOR");
    return value != nullptr && value[0] != '\0';
}

bool can_move_cursor() {
    const char *const moves = ::tigetstr("cup");
    return moves != nullptr && moves != reinterpret_cast<const char *>(-1);
}

attr_t colour(short pair) { return static_cast<attr_t>(COLOR_PAIR(pair)); }

attr_t attributes_of(Style style, bool colours) {
    switch (style) {
    case Style::title:
        return A_BOLD;
    case Style::heading:
        return A_REVERSE;
    case Style::busy:
        return colours ? colour(1) : A_BOLD;
    case Style::quiet:
        return A_DIM;
    case Style::warning:
        return colours ? colour(2) | A_BOLD : A_BOLD;
    case Style::plain:
        break;
    }
    return A_NORMAL;
}

}  // namespace

Screen::Screen() {
    std::setlocale(LC_CTYPE, "");
    charset_ = std::string_view(::nl_langinfo(CODESET)) == "UTF-8" ? Charset::utf8 : Charset::ascii;
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
        return;
    SCREEN *const screen = ::newterm(nullptr, stdout, stdin);
    if (screen == nullptr)
        return;
    if (!can_move_cursor()) {
        ::endwin();
        ::delscreen(screen);
        return;
    }
    none_ = false;
    ::cbreak();
    ::noecho();
    ::nonl();
    ::keypad(stdscr, TRUE);
    ::nodelay(stdscr, TRUE);
    ::set_escdelay(50);
    ::curs_set(0);
    if (!no_colour() && ::has_colors() && ::start_color() == OK) {
        ::use_default_colors();
        ::init_pair(1, COLOR_GREEN, -1);
        ::init_pair(2, COLOR_RED, -1);
        colours_ = true;
    }
}

Screen::~Screen() {
    if (!none_)
        ::endwin();
}

std::size_t Screen::width() const { return static_cast<std::size_t>(std::max(::getmaxx(stdscr), 1)); }
std::size_t Screen::height() const { return static_cast<std::size_t>(std::max(::getmaxy(stdscr), 1)); }

void Screen::draw(const std::vector<ViewLine> &lines) {
    ::werase(stdscr);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const attr_t attributes = attributes_of(lines[i].style, colours_);
        ::wattr_on(stdscr, attributes, nullptr);
        ::mvwaddstr(stdscr, static_cast<int>(i), 0, lines[i].text.c_str());
        ::wattr_off(stdscr, attributes, nullptr);
    }
    ::wrefresh(stdscr);
}

Screen::Pressed Screen::key() {
    wint_t code = 0;
    const int kind = ::wget_wch(stdscr, &code);
    if (kind == KEY_CODE_YES) {
        switch (code) {
        case KEY_UP:
            return {Key::up};
        case KEY_DOWN:
            return {Key::down};
        case KEY_PPAGE:
            return {Key::page_up};
        case KEY_NPAGE:
            return {Key::page_down};
        case KEY_HOME:
            return {Key::home};
        case KEY_END:
            return {Key::end};
        case KEY_BACKSPACE:
            return {Key::backspace};
        case KEY_ENTER:
            return {Key::enter};
        case KEY_RESIZE:
            return {Key::resize};
        default:
            return {Key::escape};
        }
    }
    if (kind != OK)
        return {};
    if (code == '\r' || code == '\n')
        return {Key::enter};
    if (code == 27)
        return {Key::escape};
    if (code == 127 || code == 8)
        return {Key::backspace};
    std::array<char, MB_LEN_MAX> bytes{};
    std::mbstate_t state{};
    const std::size_t length = std::wcrtomb(bytes.data(), static_cast<wchar_t>(code), &state);
    if (length == static_cast<std::size_t>(-1))
        return {};
    return {Key::letter, std::string(bytes.data(), length)};
}

}  // namespace rill::cli
