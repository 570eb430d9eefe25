-- Whether somebody was refused in words within the day is asked for each refusal.
CREATE INDEX command_author ON command (given_by, at) WHERE state = 'refused';
