// Package words says what the gateway knows in the languages of those who
// read it: labels of events, milestones and exceptions, dates, amounts and
// counted things, in nineteen languages.
//
// Each language is one file, LOCALE.json. The wording follows these rules: a
// short label in sentence case without a full stop, no carrier's jargon, about
// the parcel and never about its reader, never built from fragments. In each
// file the gender of participles follows the one word for a parcel that its
// note names. "With the local carrier" and "delivered" never share a verb that
// could confuse the two.
//
// Names of months, patterns of dates and amounts, plural forms of units and
// the rules of plurals follow Unicode CLDR 48 (see LICENSE-CLDR), but that
// clocks have 24 hours, years are Gregorian and digits 0 to 9 everywhere, and
// English writes the day before the month.
//
// To add a language, add its file, and name it in Locales and own (locale.go),
// plural (plural.go) and the tests' tables of scripts and plurals. To add a
// wording, write it in en.json first, then in every other file: the tests fail
// while one lacks it, though a reader would be shown the English words.
//
// Everything here is read once, at first use, and never changes: all functions
// are safe for concurrent use. Codes are plain strings, the values of the
// schema's enums, since this package knows no parcel.
package words
