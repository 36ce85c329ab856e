/* LittleFS.h - the file system of both cores, declarations only. */
#ifndef SDK_LITTLEFS_H
#define SDK_LITTLEFS_H

class LittleFsClass
{
  public:
    bool begin();
    void end();
};
extern LittleFsClass LittleFS;

#endif
