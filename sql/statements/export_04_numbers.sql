-- Patient numbers for messages that wait to be sent.
SELECT patient_id, number FROM identity.numbers_to_send(:message_ids)
