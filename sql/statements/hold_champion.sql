-- Keep the states of all models as they are until the transaction ends. A change of champion waits for what has this
-- lock, and what asks for it waits for the change; those that have it do not wait for each other.
LOCK TABLE models IN ROW EXCLUSIVE MODE
