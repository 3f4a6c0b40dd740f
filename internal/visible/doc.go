// Package visible is the one rule for text from outside that is shown to people:
// which characters may be, and what stands for those that may not.
//
// A commit, a server, a provider and a plugin write text that ends up on a
// terminal, a page, a comment or in a log. A character that acts there, turns the
// direction of what stands around it, or cannot be seen at all is never shown as
// it is. The package knows nothing of where text is shown; it does not escape for
// HTML or Markdown, and it hides no secrets but for what [Key] knows by its form. Beside it stand the two forms that all
// such text has in common: a number with its noun, and a word of a command.
//
// Callers: every package that shows or checks such text.
package visible
