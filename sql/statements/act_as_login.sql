-- Until the end of the transaction with the rights of the login itself, which a person has and the flows do not.
SET LOCAL ROLE NONE
