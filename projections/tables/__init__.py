"""The tables that the log is counted into, a file of SQL a projection; `staging.sql` is what they share."""
