"""Are new rows still like those that the model in production was trained on?"""
