-- Make a session the same everywhere, whatever the server's, the database's or the role's defaults are.
SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),
       set_config('IntervalStyle', 'postgres', false), set_config('extra_float_digits', '1', false)
