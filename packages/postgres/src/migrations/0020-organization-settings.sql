-- How its calls are treated is the organization's own to say.
grant update (strategy, uncapped, drop_unsupported, keep_responses, routing) on organizations to nemo_app;
