-- E-mail is sent to each address on its own. A delivery to one address of a channel, after others have the message.

ALTER TABLE notification_deliveries ADD COLUMN recipient text;
